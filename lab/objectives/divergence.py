"""Divergence of token distributions without ever holding all logits; `lab.objectives.cross_entropy` explains how."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lab.model.kernels import product_dtype
from lab.objectives.cross_entropy import chunk_rows


class _Divergence(torch.autograd.Function):
    """Sum of weight x KL; the forward pass computes the gradient of the states, chunk by chunk."""

    @staticmethod
    def forward(ctx: Any, states_KRD: Tensor, true_RD: Tensor, matrix_VD: Tensor, weights_KR: Tensor) -> Tensor:
        dtype = product_dtype(states_KRD)
        matrix_VD = matrix_VD.to(dtype)
        total, gradient = weights_KR.new_zeros(()), torch.empty_like(states_KRD)
        size = chunk_rows(len(matrix_VD))
        for begin in range(0, len(true_RD), size):
            chunk = slice(begin, begin + size)
            true_CV = (true_RD[chunk].to(dtype) @ matrix_VD.T).to(weights_KR.dtype)
            torch.log_softmax(true_CV, 1, out=true_CV)
            shares_CV = true_CV.exp()
            entropy_C = -(shares_CV * true_CV).sum(1)
            for states_RD, grad_RD, weights_R in zip(states_KRD, gradient, weights_KR, strict=True):
                logits_CV = (states_RD[chunk].to(dtype) @ matrix_VD.T).to(weights_KR.dtype)
                torch.log_softmax(logits_CV, 1, out=logits_CV)
                total -= weights_R[chunk] @ (torch.linalg.vecdot(shares_CV, logits_CV) + entropy_C)
                grad_CV = logits_CV.exp_().sub_(shares_CV).mul_(weights_R[chunk, None])
                grad_RD[chunk] = grad_CV.to(dtype) @ matrix_VD
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_total: Tensor) -> Any:
        (gradient,) = ctx.saved_tensors
        return gradient * grad_total, None, None, None


def weighted_divergence(states_KRD: Tensor, true_RD: Tensor, unembedding_VD: Tensor, weights_KR: Tensor) -> Tensor:
    """Compute a weighted sum of KL(softmax(U true) || softmax(U state)), in memory that does not grow with R times V.

    Only `states_KRD` get a gradient.

    Args:
        states_KRD: K states to compare with each true one.
        true_RD: True states of R positions.
        unembedding_VD: U.
        weights_KR: Weight of each divergence; float64 with float64 states, else float32.

    Returns:
        A scalar in nats that can be differentiated once.
    """
    total: Tensor = _Divergence.apply(states_KRD, true_RD, unembedding_VD, weights_KR)  # type: ignore[no-untyped-call]
    return total
