"""Targets of `objective.terms`: which prediction head predicts which token, and at which positions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from lab.config.terms import Term
from lab.objectives.targets import IGNORE


def term_targets(
    terms: Sequence[Term], roles: Sequence[str], tokens_BT: Tensor, scored_BT: Tensor, roles_BT: Tensor, n_future: int
) -> Tensor:
    """Return the targets of some terms; where two terms of one head apply, those of the later one.

    Args:
        terms: The terms.
        roles: Names of the task's roles.
        tokens_BT: (B, T) int64.
        scored_BT: (B, T) bool, whether the token at each position counts as a target.
        roles_BT: (B, T) int64, index into `roles` of each token.
        n_future: N, number of prediction heads.

    Returns:
        (N, B, T) int64; `IGNORE` where a head has no target.
    """
    visible_BT = tokens_BT.masked_fill(~scored_BT, IGNORE)
    targets_NBT = visible_BT.new_full((n_future, *visible_BT.shape), IGNORE)
    for term in terms:
        target_BT, role_BT = _ahead(visible_BT, term.distance, IGNORE), _ahead(roles_BT, term.distance, 0)
        asks_BT = torch.tensor(term.targets(roles))[role_BT] & torch.tensor(term.positions(roles))[roles_BT]
        own_BT = targets_NBT[term.head - 1]
        own_BT.copy_(torch.where(asks_BT & (target_BT != IGNORE), target_BT, own_BT))
    return targets_NBT


def _ahead(values_BT: Tensor, distance: int, fill: int) -> Tensor:
    """Return the value some positions ahead of each position, `fill` past the end."""
    return F.pad(values_BT[:, distance:], (0, distance), value=fill)
