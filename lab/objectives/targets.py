"""What a step's objective sees of the data, and which token each prediction head must predict at each position."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

IGNORE = -100
"""A target that does not count."""


class Part(NamedTuple):
    """The data of one forward pass.

    Attributes:
        tokens_BT: (B, T) int64.
        scored_BT: (B, T) bool, which tokens count as targets.
        counts_N: (N,) float: targets of each prediction head in the whole step, divided by the number of its parts, so that
            the mean over parts of each part's loss is the loss of the whole step, however unevenly targets are spread.
        elsewhere_BT: (B, T) int64, the targets (`IGNORE` where not scored) of another row of the step for each row, drawn anew
            in each step; None unless the objective asks for it.
        inputs_BT: (B, T) int64, what the network is shown if not the tokens: the answer's hidden, in teacherless training.
        seen: What this part adds to the tokens and the scored tokens seen: the whole step's in the first part of each process,
            0 in the others.
    """

    tokens_BT: Tensor
    scored_BT: Tensor
    counts_N: Tensor
    elsewhere_BT: Tensor | None = None
    inputs_BT: Tensor | None = None
    seen: tuple[int, int] = (0, 0)

    @property
    def shown(self) -> Tensor:
        """What the network is shown."""
        return self.tokens_BT if self.inputs_BT is None else self.inputs_BT

    def cut(self, parts: int) -> list[Part]:
        """The same rows in equal parts."""
        counts_N = (self.counts_N / parts).float()
        if parts == 1:
            return [self._replace(counts_N=counts_N)]
        columns = (self.tokens_BT, self.scored_BT, self.elsewhere_BT, self.inputs_BT)
        split = ([None] * parts if rows is None else rows.chunk(parts) for rows in columns)
        return [Part(tokens, scored, counts_N, *more) for tokens, scored, *more in zip(*split, strict=True)]


def future_targets(tokens_BT: Tensor, scored_BT: Tensor, n_future: int) -> Tensor:
    """The target of head i at position t is token t + i.

    With tokens 5 6 7 8 and two heads, head 1 has 6 7 8 - and head 2 has 7 8 - -, where - is `IGNORE`.

    Args:
        tokens_BT: (B, T) int64.
        scored_BT: (B, T) bool, whether the token at each position counts as a target.
        n_future: N, number of prediction heads.

    Returns:
        (N, B, T) int64; `IGNORE` where the target is not scored or lies outside the row.
    """
    return ahead(tokens_BT.masked_fill(~scored_BT, IGNORE), n_future)


def ahead(visible_BT: Tensor, n_future: int) -> Tensor:
    """The same of rows in which what is not scored is `IGNORE` already."""
    length = visible_BT.shape[1]
    padded = F.pad(visible_BT, (0, n_future), value=IGNORE)
    return torch.stack([padded[:, i : i + length] for i in range(1, n_future + 1)])
