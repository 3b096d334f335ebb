"""A batch of sequences: tokens, and the role of every position. Shapes: B sequences, T positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

PADDING = "-"
"""The role of positions that are never a target; it is number 0 in every task."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Batch:
    """Sequences of one task.

    Attributes:
        tokens: (B, T) int64, ids below the task's `vocab_size`.
        roles: (B, T) int8, the role of each position as a target: an index into the task's `roles`.
        scored: (B, T) bool, whether the token at each position is a target in training.
        answer: (B, 2) int64, positions of the first token of the answer and after its last; (0, 0) without an answer.
    """

    tokens: NDArray[np.int64]
    roles: NDArray[np.int8]
    scored: NDArray[np.bool_]
    answer: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.tokens)

    def row(self, index: int) -> Batch:
        """Return a batch of one sequence."""
        return Batch(**{field.name: getattr(self, field.name)[index : index + 1] for field in fields(Batch)})


def join(batches: Sequence[Batch]) -> Batch:
    """Join batches whose sequences have the same length."""
    return Batch(**{field.name: np.concatenate([getattr(each, field.name) for each in batches]) for field in fields(Batch)})
