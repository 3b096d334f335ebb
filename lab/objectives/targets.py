"""Which token each prediction head must predict at each position."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

IGNORE = -100
"""A target that does not count."""


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
    visible_BT = tokens_BT.masked_fill(~scored_BT, IGNORE)
    length = tokens_BT.shape[1]
    padded = F.pad(visible_BT, (0, n_future), value=IGNORE)
    return torch.stack([padded[:, i : i + length] for i in range(1, n_future + 1)])
