"""Prediction heads: from the trunk's output to one hidden state for each future token.

N prediction heads; index 0 is head 1, the next token.

A new kind is one class here, with `forward(trunk_BTD, context) -> (N, B, T, D)`, and one line in `HEADS`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lab.config import ModelSettings
from lab.model.layers import Layer


@dataclass(frozen=True)
class Context:
    """What prediction heads may use besides the trunk's output.

    Attributes:
        rotary: Turns of the rotary positions.
        embedded_BTD: Token embeddings of the row, for kinds that are told tokens ahead.
        detached: Whether prediction heads 2..N send no gradient to the trunk, the embedding or prediction head 1. Every kind
            honours it. The network cuts the norm behind them, and the loss the unembedding.
    """

    rotary: Tensor
    embedded_BTD: Tensor
    detached: bool = False

    def cut(self, states: Tensor) -> Tensor:
        """States as a prediction head above 1 may see them: without a way back if `detached`."""
        return states.detach() if self.detached else states


class ParallelHeads(nn.Module):
    """One transformer layer for each prediction head, all on the trunk's output (the paper's default, section 2)."""

    def __init__(self, settings: ModelSettings, n_future: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(settings) for _ in range(n_future))

    def forward(self, trunk_BTD: Tensor, context: Context) -> Tensor:
        seen = [trunk_BTD] + [context.cut(trunk_BTD)] * (len(self.layers) - 1)
        return torch.stack([layer(states_BTD, context.rotary) for layer, states_BTD in zip(self.layers, seen, strict=True)])


HEADS: dict[str, type[nn.Module]] = {"parallel": ParallelHeads}
