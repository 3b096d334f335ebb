"""Objectives: one scalar from the hidden states of all prediction heads, and a small report.

A new objective is one function here and one line in `OBJECTIVES`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from lab.objectives.cross_entropy import weighted_cross_entropy


class Loss(NamedTuple):
    """What an objective gives.

    Attributes:
        total: Scalar in nats, to be differentiated.
        heads_N: (N,) each prediction head's loss in nats a target, without gradient.
    """

    total: Tensor
    heads_N: Tensor


Objective = Callable[[Tensor, Tensor, Tensor, Tensor], Loss]
"""hidden (N, B, T, D), unembedding (V, D) or (N, V, D), targets (N, B, T), counts (N,) -> Loss."""


def summed(hidden_NBTD: Tensor, unembedding: Tensor, targets_NBT: Tensor, counts_N: Tensor) -> Loss:
    """The paper's objective: the plain sum over heads of each head's mean loss over its own targets (section 2, L_n).

    Each head has its own denominator, since head i has i - 1 targets fewer in a row: no head weighs less for being far.

    Args:
        hidden_NBTD: Hidden states of all heads.
        unembedding: (V, D) if all heads share it, or (N, V, D).
        targets_NBT: From `future_targets`.
        counts_N: Targets of each head over which to take the mean. In one batch on its own these are the targets that are not
            ignored; for a part of a batch they are the whole batch's divided by the number of parts, so that the parts'
            mean is the whole batch's loss and gradient.
    """
    exact = torch.promote_types(hidden_NBTD.dtype, torch.float32)
    weights_N = counts_N.to(exact).reciprocal().nan_to_num(posinf=0.0)  # no target, no weight
    weights_NBT = weights_N[:, None, None].expand(targets_NBT.shape)
    total, losses_NBT = weighted_cross_entropy(hidden_NBTD, unembedding, targets_NBT, weights_NBT)
    return Loss(total, (losses_NBT * weights_NBT).sum((1, 2)))


OBJECTIVES: dict[str, Objective] = {"sum": summed}
