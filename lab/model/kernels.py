"""The few operations that plain torch is slow at on a CPU, written so that each array is read and written once.

Each has a plain twin in the tests. Under autocast they compute in its dtype, as products do. What was measured is in
docs/performance.md.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def product_dtype(states: Tensor) -> torch.dtype:
    """The dtype that matrix products of `states` have here: autocast's, or its own."""
    device = states.device.type
    autocast = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)  # the meta device knows none
    return torch.get_autocast_dtype(device) if autocast else states.dtype


class _RmsNorm(torch.autograd.Function):
    """x / sqrt(mean(x^2) + epsilon) x gain along the last dimension."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, gain: Tensor, epsilon: float, dtype: torch.dtype) -> Tensor:
        states = states.to(torch.promote_types(states.dtype, gain.dtype))  # some heads give what a product gave: bfloat16
        norm = torch.linalg.vector_norm(states, dim=-1, keepdim=True)
        inverse = norm.square_().div_(states.shape[-1]).add_(epsilon).rsqrt_()
        unit: Tensor = states * inverse
        ctx.save_for_backward(unit, inverse, gain)
        return (unit * gain).to(dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        unit, inverse, gain = ctx.saved_tensors
        gradient = gradient.to(unit.dtype)
        both = gradient * unit
        along = both @ gain.mT if gain.ndim > 1 else (both @ gain).unsqueeze(-1)
        of_states = (gradient * gain).addcmul_(unit, along.div_(-unit.shape[-1])).mul_(inverse)
        return of_states, both.sum_to_size(gain.shape), None, None


def rms_norm(states: Tensor, gain: Tensor, epsilon: float) -> Tensor:
    """Root-mean-square norm (Zhang and Sennrich 2019): several times faster on a CPU than torch's own in training.

    Args:
        states: (..., D), or of several members (..., M, R, D).
        gain: (D,), or one for each member (M, 1, D).
        epsilon: Added to the mean square.

    Returns:
        As `states`, in the dtype of products, so that those behind the norm need not convert it one by one.
    """
    normed: Tensor = _RmsNorm.apply(states, gain, epsilon, product_dtype(states))  # type: ignore[no-untyped-call]
    return normed


class _GatedUnit(torch.autograd.Function):
    """down(silu(gate x) * (up x)), everything between the products by hand."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, gate: Tensor, up: Tensor, down: Tensor, dtype: torch.dtype) -> Tensor:
        flat_RD = _rows(states.to(dtype), gate)
        gate, up, down = gate.to(dtype), up.to(dtype), down.to(dtype)
        gated_RI, raised_RI = flat_RD @ gate.mT, flat_RD @ up.mT
        active_RI = torch.ops.aten.silu(gated_RI)
        ctx.save_for_backward(flat_RD, gate, up, down, gated_RI, raised_RI, active_RI)
        out: Tensor = ((active_RI * raised_RI) @ down.mT).view(*states.shape[:-1], -1)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        flat_RD, gate, up, down, gated_RI, raised_RI, active_RI = ctx.saved_tensors
        shape, gradient = gradient.shape, _rows(gradient, gate)
        of_down = gradient.mT @ (active_RI * raised_RI)  # one product again is cheaper than one more exponential, or array
        of_inner = gradient @ down
        of_raised = active_RI * of_inner
        of_gated = torch.ops.aten.silu_backward(of_inner.mul_(raised_RI), gated_RI)
        of_states = of_gated @ gate
        of_states = of_states.addmm_(of_raised, up) if up.ndim == 2 else of_states.baddbmm_(of_raised, up)
        return of_states.view(shape), of_gated.mT @ flat_RD, of_raised.mT @ flat_RD, of_down, None


def _rows(states: Tensor, matrix: Tensor) -> Tensor:
    """States as rows for one matrix (R, D), or as they are for one matrix for each member, (M, R, D)."""
    return states.flatten(0, -2) if matrix.ndim == 2 else states


def gated_unit(states: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """The gated feed-forward part (Shazeer 2020): down(silu(gate x) * (up x)).

    Args:
        states: (..., D), or of several members (M, R, D).
        gate: (I, D), or one for each member (M, I, D).
        up: As `gate`.
        down: (D, I), or (M, D, I).

    Returns:
        As `states`, in the dtype of products.
    """
    out: Tensor = _GatedUnit.apply(states, gate, up, down, product_dtype(states))  # type: ignore[no-untyped-call]
    return out


def rotate(states: Tensor, turns: Tensor) -> Tensor:
    """Turn each pair of neighbours (2k, 2k + 1) of the last dimension by its position's angle.

    One complex product, which is fastest on a CPU; in real numbers where a compiler would not see through it.

    Args:
        states: (B, T, ..., K).
        turns: (T, 1, 1, K / 2, 2) float32, cosine and sine.

    Returns:
        As `states`, in its dtype.
    """
    pairs = states.float().reshape(*states.shape[:-1], -1, 2)
    if states.device.type == "cpu" and not torch.compiler.is_compiling():
        product = torch.view_as_complex(pairs) * torch.view_as_complex(turns)
        return torch.view_as_real(product).flatten(-2).to(states.dtype)
    (even, odd), (cosine, sine) = pairs.unbind(-1), turns.unbind(-1)
    return torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], dim=-1).flatten(-2).to(states.dtype)
