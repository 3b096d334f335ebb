"""What a task gives: rows of tokens, and what is known of every position. Shapes: B rows, T positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

PADDING = "-"
"""The role, number 0 in every task, of positions that never count."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Batch:
    """Rows of one task.

    Attributes:
        tokens: (B, T) int64, ids below the task's `vocab_size`.
        roles: (B, T) int8, what the token at each position is as a target: an index into the task's `roles`.
        scored: (B, T) bool, whether the token at each position counts as a target in training.
        answer: (B, 2) int64, where the answer begins and ends (exclusive); the prompt is what stands before. (0, 0): no answer.
    """

    tokens: NDArray[np.int64]
    roles: NDArray[np.int8]
    scored: NDArray[np.bool_]
    answer: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.tokens)

    def row(self, index: int) -> Batch:
        """The batch of this one row."""
        part = slice(index, index + 1)
        return Batch(tokens=self.tokens[part], roles=self.roles[part], scored=self.scored[part], answer=self.answer[part])


def joined(batches: Sequence[Batch]) -> Batch:
    """One batch of the rows of several, which are of one length."""
    return Batch(**{field.name: np.concatenate([getattr(each, field.name) for each in batches]) for field in fields(Batch)})
