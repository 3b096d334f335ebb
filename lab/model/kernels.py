"""The few operations that plain torch is slow at on a CPU, written so that each array is read and written once.

Each has a plain twin in the tests. What was measured is in docs/performance.md.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

_QUERY_BLOCKS = 2
"""Blocks of queries in `causal_attention`: each looks only at keys up to its own end, which saves a quarter of the work."""


class _RmsNorm(torch.autograd.Function):
    """x / sqrt(mean(x^2) + epsilon) x gain along the last dimension."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, gain: Tensor, epsilon: float) -> Tensor:
        norm = torch.linalg.vector_norm(states, dim=-1, keepdim=True)
        inverse = norm.square_().div_(states.shape[-1]).add_(epsilon).rsqrt_()
        unit: Tensor = states * inverse
        ctx.save_for_backward(unit, inverse, gain)
        return unit * gain

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        unit, inverse, gain = ctx.saved_tensors
        both = gradient * unit
        along = (both @ gain).unsqueeze(-1).div_(-unit.shape[-1])
        of_states = (gradient * gain).addcmul_(unit, along).mul_(inverse)
        return of_states, both.flatten(0, -2).sum(0), None


def rms_norm(states: Tensor, gain: Tensor, epsilon: float) -> Tensor:
    """Root-mean-square norm (Zhang and Sennrich 2019): several times faster on a CPU than torch's own in training.

    Args:
        states: (..., D).
        gain: (D,).
        epsilon: Added to the mean square.
    """
    normed: Tensor = _RmsNorm.apply(states, gain, epsilon)  # type: ignore[no-untyped-call]
    return normed


def rotate(states: Tensor, turns: Tensor) -> Tensor:
    """Turn each pair of neighbours (2k, 2k + 1) of the last dimension by its position's angle, as one complex product.

    Args:
        states: (B, T, ..., K).
        turns: (T, 1, 1, K / 2) complex64, e^(i angle).

    Returns:
        As `states`, in its dtype.
    """
    pairs = torch.view_as_complex(states.float().view(*states.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * turns).flatten(-2).to(states.dtype)


def causal_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Softmax attention in which position t looks at positions up to t; all (B, H, T, K).

    torch's own, except in bfloat16 on a CPU, where its kernel is slower than the plain products (2.3 times at T = 256).
    """
    if queries.device.type != "cpu" or queries.dtype != torch.bfloat16:
        return F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
    with torch.autocast("cpu", enabled=False):
        return _attention_in_blocks(queries, keys, values)


def _attention_in_blocks(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    length = queries.shape[2]
    size = -(-length // _QUERY_BLOCKS)
    future = torch.full((length, length), -torch.inf, dtype=queries.dtype, device=queries.device).triu(1)
    scaled, mixed = queries * queries.shape[-1] ** -0.5, []
    for begin in range(0, length, size):
        end = min(begin + size, length)
        scores = scaled[:, :, begin:end] @ keys[:, :, :end].transpose(-1, -2) + future[begin:end, :end]
        mixed.append(scores.softmax(-1) @ values[:, :, :end])
    return torch.cat(mixed, dim=2)
