"""The loss of all prediction heads: one scalar and a report for each head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from lab.model.unembedding import Matrices
from lab.objectives.cross_entropy import weighted_cross_entropy
from lab.objectives.targets import Targets


class Loss(NamedTuple):
    """The value of an objective.

    Attributes:
        total: Scalar in nats, differentiable.
        heads_N: (N,) each prediction head's loss in nats per target, without gradient; with further losses all L.
    """

    total: Tensor
    heads_N: Tensor


class States(NamedTuple):
    """The inputs of an objective's own losses (`Objective.extra`).

    Attributes:
        hidden_NBSD: Normed states of all prediction heads, of S positions.
        unembedding: (V, D) if all heads share it, or N of these.
        embedding_VD: Token embeddings.
        tokens_BT: (B, T) int64.
        scored_BT: (B, T) bool, whether a token counts as a target.
        present_BT: (B, T) bool, whether a position has a token and no padding, which follows all tokens.
        sites: The activations in `Objective.sites`, by name.
    """

    hidden_NBSD: Tensor
    unembedding: Matrices
    embedding_VD: Tensor
    tokens_BT: Tensor
    scored_BT: Tensor
    present_BT: Tensor
    sites: Mapping[str, Tensor]

    def matrix(self, head: int) -> Tensor:
        """Return the unembedding (V, D) of a prediction head, counted from 1."""
        return self.unembedding if isinstance(self.unembedding, Tensor) else self.unembedding[head - 1]


def matrices_of(unembedding: Matrices, count: int) -> Matrices:
    """Return the unembeddings of `count` cross-entropies: those of the heads, and that of head 1 for any beyond them."""
    if isinstance(unembedding, Tensor):
        return unembedding
    return tuple(unembedding[number if number < len(unembedding) else 0] for number in range(count))


def multi_head_loss(
    hidden_NBTD: Tensor,
    unembedding: Matrices,
    targets: Targets,
    counts_N: Tensor,
    *,
    weights_N: Tensor | None = None,
    detached: bool = False,
) -> Loss:
    """Sum each head's mean loss over its own targets; without weights the paper's L_n (Gloeckle et al. 2024, section 2).

    Each head has its own denominator, since head i has i - 1 targets fewer in a sequence: no head weighs less for being far.

    Args:
        hidden_NBTD: Hidden states of all heads.
        unembedding: (V, D) if all heads share it, or N of these.
        targets: The targets of these positions.
        counts_N: Targets of each head over which the mean is taken: `targets.per_head()` for a batch on its own; for a
            microbatch the whole step's, divided by the number of microbatches.
        weights_N: Factor of each head's loss in the total; 1 each by default.
        detached: Whether heads 2..N send no gradient to an unembedding that head 1 uses too. With hidden states of a detached
            forward pass, no weight that head 1 computes with then gets a gradient from the other heads.
    """
    exact = torch.promote_types(hidden_NBTD.dtype, torch.float32)
    means_N = counts_N.to(exact).reciprocal().nan_to_num(posinf=0.0)  # a head without targets has no weight
    factors_N = means_N if weights_N is None else means_N * weights_N
    weights_NBT = factors_N[:, None, None].expand(hidden_NBTD.shape[:-1])
    tokens, scores = targets
    shares = None if scores is None else scores.to(exact).softmax(-1).nan_to_num()  # NaN where all scores are -inf
    totals, losses = [], []
    for heads, matrix in _by_matrix(unembedding, len(hidden_NBTD), detached):
        each = None if shares is None else shares[heads]
        total, losses_NBT = weighted_cross_entropy(hidden_NBTD[heads], matrix, tokens[heads], weights_NBT[heads], each)
        totals.append(total)
        losses.append(losses_NBT)
    heads_N = (torch.cat(losses) * means_N[:, None, None]).sum((1, 2))
    return Loss(torch.stack(totals).sum(), heads_N)


def _by_matrix(unembedding: Matrices, n_future: int, detached: bool) -> list[tuple[slice, Tensor]]:
    """Group heads that share an unembedding matrix: (heads, matrix)."""
    if not isinstance(unembedding, Tensor):
        return [(slice(head, head + 1), matrix) for head, matrix in enumerate(unembedding)]
    if detached and n_future > 1:
        return [(slice(0, 1), unembedding), (slice(1, None), unembedding.detach())]
    return [(slice(None), unembedding)]
