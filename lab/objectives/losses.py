"""One scalar from the hidden states of all prediction heads, and a small report: what every objective ends in."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lab.model.unembedding import Matrices
from lab.objectives.cross_entropy import weighted_cross_entropy


class Loss(NamedTuple):
    """What an objective gives.

    Attributes:
        total: Scalar in nats, to be differentiated.
        heads_N: (N,) each prediction head's loss in nats a target, without gradient.
    """

    total: Tensor
    heads_N: Tensor


def summed(
    hidden_NBTD: Tensor,
    unembedding: Matrices,
    targets: Tensor,
    counts_N: Tensor,
    *,
    scores_NBTK: Tensor | None = None,
    weights_N: Tensor | None = None,
    detached: bool = False,
) -> Loss:
    """The sum over heads of each head's mean loss over its own targets; without weights the paper's (section 2, L_n).

    Each head has its own denominator, since head i has i - 1 targets fewer in a row: no head weighs less for being far.

    Args:
        hidden_NBTD: Hidden states of all heads.
        unembedding: (V, D) if all heads share it, or N of these.
        targets: (N, B, T) int64 as from `future_targets`; with scores (N, B, T, K), the tokens of a distribution.
        counts_N: Targets of each head over which to take the mean. In one batch on its own these are the targets that are not
            ignored; for a part of a batch they are the whole batch's divided by the number of parts, so that the parts'
            mean is the whole batch's loss and gradient.
        scores_NBTK: Targets are drawn with the softmax of these, over K; -inf where ignored.
        weights_N: What each head's loss counts in the total; 1 each by default.
        detached: Heads 2..N send no gradient to an unembedding that head 1 uses too. With hidden states of
            `network(tokens, detached=True)` nothing that head 1 computes with feels the other heads.
    """
    weights_N = torch.ones_like(counts_N) if weights_N is None else weights_N
    if detached and len(hidden_NBTD) > 1:
        own, others = _apart(unembedding)
        losses = [
            summed(
                hidden_NBTD[heads], matrix, targets[heads], counts_N[heads], weights_N=weights_N[heads],
                scores_NBTK=None if scores_NBTK is None else scores_NBTK[heads],
            )
            for heads, matrix in ((slice(0, 1), own), (slice(1, None), others))
        ]  # fmt: skip
        return Loss(losses[0].total + losses[1].total, torch.cat([loss.heads_N for loss in losses]))
    exact = torch.promote_types(hidden_NBTD.dtype, torch.float32)
    means_N = counts_N.to(exact).reciprocal().nan_to_num(posinf=0.0)  # no target, no weight
    weights_NBT = (means_N * weights_N)[:, None, None].expand(hidden_NBTD.shape[:-1])
    shares = None if scores_NBTK is None else scores_NBTK.to(exact).softmax(-1).nan_to_num()  # nan: nothing counts
    total, losses_NBT = weighted_cross_entropy(hidden_NBTD, unembedding, targets, weights_NBT, shares)
    return Loss(total, (losses_NBT * means_N[:, None, None]).sum((1, 2)))


def _apart(unembedding: Matrices) -> tuple[Matrices, Matrices]:
    """What makes logits of head 1, and of the others without gradient to what it shares with them."""
    if isinstance(unembedding, Tensor):
        return unembedding, unembedding.detach()
    return unembedding[:1], unembedding[1:]
