"""Prediction heads: from the trunk's output to one hidden state for each future token.

N prediction heads; index 0 is head 1, the next token.

A new kind is one class here, with `forward(trunk_BTD, rotary) -> (N, B, T, D)`, and one line in `HEADS`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lab.config import ModelSettings
from lab.model.layers import Layer


class ParallelHeads(nn.Module):
    """One transformer layer for each prediction head, all on the trunk's output (the paper's default, section 2)."""

    def __init__(self, settings: ModelSettings, n_future: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(settings) for _ in range(n_future))

    def forward(self, trunk_BTD: Tensor, rotary: Tensor) -> Tensor:
        return torch.stack([layer(trunk_BTD, rotary) for layer in self.layers])


HEADS: dict[str, type[nn.Module]] = {"parallel": ParallelHeads}
