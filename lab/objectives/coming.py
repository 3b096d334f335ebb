"""The distinct tokens that come within a window after each position."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lab.objectives.targets import IGNORE


class Coming:
    """The scored tokens x_{t+first} to x_{t+last} after each position t, each distinct token at its first occurrence alone.

    Windows end with their sequence: with a `last` of T - 1 or more they hold all that comes.
    """

    def __init__(self, tokens_BT: Tensor, scored_BT: Tensor, first: int, last: int) -> None:
        self._length = tokens_BT.shape[1]
        last = min(last, self._length - 1)
        self._ahead_K = torch.arange(first, last + 1, device=tokens_BT.device)
        visible_BT = tokens_BT.masked_fill(~scored_BT, IGNORE)
        self._visible_BS = F.pad(visible_BT, (0, last), value=IGNORE)
        self._previous_BS = F.pad(_previous(visible_BT), (0, last))

    def at(self, rows: slice) -> Tensor:
        """Return the tokens after some positions, numbered from 0 to B T - 1 sequence by sequence.

        Returns:
            (R, K) int64; `IGNORE` where a token is not scored, has come before in the window or lies past the end.
        """
        row_R = torch.arange(rows.start, rows.stop, device=self._ahead_K.device)
        sequence_R1, position_R1 = (row_R // self._length)[:, None], (row_R % self._length)[:, None]
        at_RK = position_R1 + self._ahead_K
        repeated_RK = self._previous_BS[sequence_R1, at_RK] >= at_RK[:, :1]
        return self._visible_BS[sequence_R1, at_RK].masked_fill(repeated_RK, IGNORE)

    def everywhere(self) -> Tensor:
        """Return the tokens after all positions, (B, T, K) int64, as `at` does."""
        size = len(self._visible_BS)
        return self.at(slice(0, size * self._length)).view(size, self._length, -1)


def _previous(tokens_BT: Tensor) -> Tensor:
    """Return the position at which each token came last, (B, T) int64; -1 if it is new in its sequence."""
    order_BT = tokens_BT.argsort(dim=1, stable=True)
    sorted_BT = tokens_BT.gather(1, order_BT)
    again = sorted_BT[:, 1:] == sorted_BT[:, :-1]
    return torch.full_like(tokens_BT, -1).scatter_(1, order_BT[:, 1:], order_BT[:, :-1].where(again, -1))
