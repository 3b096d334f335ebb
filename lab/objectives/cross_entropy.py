"""Losses of logits, such as the cross-entropy, without ever holding the logits of all positions.

Logits are V wide and hidden states D, with V >> D: all logits of all heads at once would need O(N V) memory (Gloeckle et al.
2024, section 2). Here positions are processed in chunks, forward and backward together: the logits of a chunk become its
gradient in place and are freed; only arrays as wide as the hidden states stay. One call takes the positions of all heads (R),
so that the unembedding has one gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from lab.model.kernels import product_dtype
from lab.model.unembedding import Matrices
from lab.objectives.targets import IGNORE

CHUNK_ELEMENTS = 1 << 22
"""Logits held at a time: 16 MiB of float32, large enough for full speed of the matrix products."""


def chunk_rows(vocabulary: int) -> int:
    """Return the number of positions whose logits are held at a time."""
    return max(64, CHUNK_ELEMENTS // vocabulary)


LogitLoss = Callable[[Tensor, slice], Tensor]
"""A loss of each position by its logits: replaces the logits (C, V) of the positions in the slice, in place, by the gradient of
their losses, and returns the losses (C,)."""


class _WeightedLoss(torch.autograd.Function):
    """Sum over positions of weight x loss; the forward pass computes the gradients, chunk by chunk."""

    @staticmethod
    def forward(ctx: Any, hidden_RD: Tensor, unembedding_VD: Tensor, weights_R: Tensor, loss: LogitLoss) -> Any:
        dtype = product_dtype(hidden_RD)
        matrix_VD = unembedding_VD.to(dtype)
        wants_hidden, wants_matrix = ctx.needs_input_grad[:2]
        losses_R = torch.empty(len(hidden_RD), device=hidden_RD.device, dtype=weights_R.dtype)
        grad_hidden = torch.empty_like(hidden_RD) if wants_hidden else None
        grad_matrix = torch.zeros_like(unembedding_VD) if wants_matrix else None
        size = chunk_rows(len(unembedding_VD))
        for begin in range(0, len(hidden_RD), size):
            chunk = slice(begin, min(begin + size, len(hidden_RD)))
            chunk_CD = hidden_RD[chunk].to(dtype)
            logits_CV = (chunk_CD @ matrix_VD.T).to(weights_R.dtype)
            losses_R[chunk] = loss(logits_CV, chunk)
            grad_CV = logits_CV.mul_(weights_R[chunk, None]).to(dtype)
            if grad_hidden is not None:
                grad_hidden[chunk] = grad_CV @ matrix_VD
            if grad_matrix is not None:
                _add_product(grad_matrix, grad_CV, chunk_CD)
        ctx.save_for_backward(grad_hidden, grad_matrix)
        ctx.mark_non_differentiable(losses_R)
        return (losses_R * weights_R).sum(), losses_R

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_total: Tensor, _: Tensor) -> Any:
        grad_hidden, grad_matrix = ctx.saved_tensors
        for gradient in (grad_hidden, grad_matrix):
            if gradient is not None:
                gradient.mul_(grad_total)  # in place: a second copy of the unembedding's gradient would be the peak of memory
        return grad_hidden, grad_matrix, None, None


def weighted_loss(hidden_RD: Tensor, unembedding_VD: Tensor, weights_R: Tensor, loss: LogitLoss) -> tuple[Tensor, Tensor]:
    """Compute a weighted sum of losses of logits, in memory that does not grow with positions times vocabulary.

    Args:
        hidden_RD: Hidden states of R positions.
        unembedding_VD: The unembedding.
        weights_R: Factor of each position's loss in the sum, 0 where nothing counts; float64 with float64 hidden states, else
            float32.
        loss: The loss of each position.

    Returns:
        The weighted sum, a scalar that can be differentiated once; and each position's loss (R,), without gradient.
    """
    total, losses_R = _WeightedLoss.apply(hidden_RD, unembedding_VD, weights_R, loss)  # type: ignore[no-untyped-call]
    return total, losses_R


def weighted_cross_entropy(
    hidden: Tensor, unembedding_VD: Tensor, targets: Tensor, weights: Tensor, shares: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Compute a weighted sum of cross-entropies, in memory that does not grow with positions times vocabulary.

    A target is a distribution: K tokens with their shares, which sum to 1 (K = 1, share 1: one true token).

    Args:
        hidden: (..., D) hidden states.
        unembedding_VD: (V, D).
        targets: (...) int64; `IGNORE` where nothing counts. With shares (..., K): the tokens of a distribution.
        weights: (...) float, factor of each position's loss in the sum; float64 with float64 hidden states, else float32.
        shares: (..., K) as `weights`: the probability of each target, 0 where ignored, with sum 1 where any counts.

    Returns:
        The weighted sum, a scalar in nats that can be differentiated once; and each position's loss (...) in nats, without
        gradient, 0 where ignored.
    """
    if shares is None:
        targets, shares = targets[..., None], weights.new_ones(()).expand(*targets.shape, 1)
    targets_RK, shares_RK = targets.flatten(0, -2), shares.flatten(0, -2)
    counted_R = (targets_RK != IGNORE).any(1)

    def cross_entropy(logits_CV: Tensor, chunk: slice) -> Tensor:
        index_CK, shares_CK = targets_RK[chunk].clamp(min=0), shares_RK[chunk]
        torch.log_softmax(logits_CV, 1, out=logits_CV)
        losses_C = -(logits_CV.gather(1, index_CK) * shares_CK).sum(1) * counted_R[chunk]
        logits_CV.exp_().scatter_add_(1, index_CK, -shares_CK)
        return losses_C

    total, losses_R = weighted_loss(hidden.flatten(0, -2), unembedding_VD, weights.flatten() * counted_R, cross_entropy)
    return total, losses_R.view(weights.shape)


@torch.no_grad()
def score_predictions(hidden: Tensor, unembedding: Matrices, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Compute loss and correctness of every prediction, chunk by chunk, for evaluation.

    Args:
        hidden: (..., D) hidden states.
        unembedding: (V, D), or one such matrix for each entry of the first dimension of `hidden`.
        targets: (...) int64; `IGNORE` where nothing counts.

    Returns:
        (...) float32 losses in nats, 0 where ignored, and (...) bool, whether the most probable token is the target; False
        where logits are not finite.
    """
    if isinstance(unembedding, Tensor):
        return _score(hidden, unembedding, targets)
    losses, hits = zip(*(_score(*each) for each in zip(hidden, unembedding, targets, strict=True)), strict=True)
    return torch.stack(losses), torch.stack(hits)


def _score(hidden: Tensor, unembedding_VD: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    losses, hits = [], []
    size = chunk_rows(len(unembedding_VD))
    hidden_RD, targets_R = hidden.flatten(0, -2), targets.flatten()
    for begin in range(0, len(hidden_RD), size):
        targets_C = targets_R[begin : begin + size]
        logits_CV = F.linear(hidden_RD[begin : begin + size], unembedding_VD).float()
        losses.append(F.cross_entropy(logits_CV, targets_C, ignore_index=IGNORE, reduction="none"))
        hits.append((logits_CV.argmax(1) == targets_C) & losses[-1].isfinite())
    return torch.cat(losses).view(targets.shape), torch.cat(hits).view(targets.shape)


def _add_product(total_VD: Tensor, left_CV: Tensor, right_CD: Tensor) -> None:
    """Add left^T right to a sum kept in full precision."""
    if left_CV.dtype == total_VD.dtype:
        total_VD.addmm_(left_CV.T, right_CD)
    else:
        total_VD += left_CV.T @ right_CD
