"""Prompts of different lengths as one tensor. B sequences, P tokens of the longest prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lab.errors import LabError

Prompts = Tensor | Sequence[Sequence[int] | Tensor]
"""(B, P) int64, or the tokens of each prompt."""


@dataclass(frozen=True, eq=False)
class Padded:
    """Prompts, padded with zeros on the right.

    Attributes:
        tokens_BP: (B, P) int64.
        lengths_B: (B,) int64.
    """

    tokens_BP: Tensor
    lengths_B: Tensor

    @property
    def same_length(self) -> bool:
        """Whether all prompts have the same length."""
        return bool((self.lengths_B == self.tokens_BP.shape[1]).all())

    def split(self, size: int) -> list[Padded]:
        """Split into groups of `size` prompts."""
        pairs = zip(torch.split(self.tokens_BP, size), torch.split(self.lengths_B, size), strict=True)
        return [Padded(tokens_BP[:, : int(lengths_B.max())], lengths_B) for tokens_BP, lengths_B in pairs]


def pad(prompts: Prompts, vocabulary: int, device: torch.device) -> Padded:
    """Pad prompts and move them to a device.

    Raises:
        LabError: If there is no prompt, an empty one, or a token outside the vocabulary.
    """
    rows = [torch.as_tensor(prompt, dtype=torch.int64, device=device) for prompt in prompts]
    if not rows:
        raise LabError("prompts must hold at least one prompt")
    for number, row in enumerate(rows):
        if row.ndim != 1 or not len(row):
            raise LabError(f"prompts must each be a list of at least one token; prompt {number} has shape {tuple(row.shape)}")
        low, high = int(row.min()), int(row.max())
        if low < 0 or high >= vocabulary:
            wrong = low if low < 0 else high
            raise LabError(f"prompts must hold tokens between 0 and {vocabulary - 1}; prompt {number} has {wrong}")
    lengths_B = torch.tensor([len(row) for row in rows], device=device)
    return Padded(pad_sequence(rows, batch_first=True), lengths_B)
