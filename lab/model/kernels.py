"""Operations that are slow in plain torch on a CPU, written so that each array is read and written once.

The tests compare each with plain torch. Under autocast they compute in its dtype, as products do. Measurements are in
docs/performance.md.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def product_dtype(states: Tensor) -> torch.dtype:
    """Return the dtype of matrix products of `states`: autocast's, or its own."""
    device = states.device.type
    autocast = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)  # the meta device has none
    return torch.get_autocast_dtype(device) if autocast else states.dtype


class _RmsNorm(torch.autograd.Function):
    """x / sqrt(mean(x^2) + epsilon) * weight along the last dimension, with a backward pass by hand."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, epsilon: float, dtype: torch.dtype) -> Tensor:
        unit, inverse = _unit(states, weight, epsilon)
        ctx.save_for_backward(unit, inverse, weight)
        return (unit * weight).to(dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        unit, inverse, weight = ctx.saved_tensors
        gradient = gradient.to(unit.dtype)
        grad_times_unit = gradient * unit
        dot = grad_times_unit @ weight.mT if weight.ndim > 1 else (grad_times_unit @ weight).unsqueeze(-1)
        grad_states = (gradient * weight).addcmul_(unit, dot.div_(-unit.shape[-1])).mul_(inverse)
        return grad_states, grad_times_unit.sum_to_size(weight.shape), None, None


def _unit(states: Tensor, weight: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Return normed states without the weight, and the inverse of their root mean square."""
    states = states.to(torch.promote_types(states.dtype, weight.dtype))  # some heads return a product: bfloat16
    norm = torch.linalg.vector_norm(states, dim=-1, keepdim=True)
    inverse = norm.square_().div_(states.shape[-1]).add_(epsilon).rsqrt_()
    return states * inverse, inverse


def rms_norm(states: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Compute the root-mean-square norm (Zhang and Sennrich 2019), in training several times faster on a CPU than torch's.

    Args:
        states: (..., D), or of an ensemble (..., M, R, D).
        weight: (D,), or of an ensemble (M, 1, D).
        epsilon: Added to the mean square.

    Returns:
        As `states`, in the dtype of products, so that products after the norm need not convert it one by one.
    """
    if not torch.is_grad_enabled():  # the same operations, without the overhead of a function with a backward pass
        return (_unit(states, weight, epsilon)[0] * weight).to(product_dtype(states))
    normed: Tensor = _RmsNorm.apply(states, weight, epsilon, product_dtype(states))  # type: ignore[no-untyped-call]
    return normed


class _GatedUnit(torch.autograd.Function):
    """down(silu(gate x) * (up x)), with a backward pass by hand."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, gate: Tensor, up: Tensor, down: Tensor, dtype: torch.dtype) -> Tensor:
        flat_RD = _rows(states.to(dtype), gate)
        gate, up, down = gate.to(dtype), up.to(dtype), down.to(dtype)
        gate_RI, up_RI = flat_RD @ gate.mT, flat_RD @ up.mT
        silu_RI = torch.ops.aten.silu(gate_RI)
        ctx.save_for_backward(flat_RD, gate, up, down, gate_RI, up_RI, silu_RI)
        out: Tensor = ((silu_RI * up_RI) @ down.mT).view(*states.shape[:-1], -1)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        flat_RD, gate, up, down, gate_RI, up_RI, silu_RI = ctx.saved_tensors
        shape, gradient = gradient.shape, _rows(gradient, gate)
        grad_down = gradient.mT @ (silu_RI * up_RI)  # recomputed: cheaper than the memory traffic of a saved product
        grad_inner = gradient @ down
        grad_up_RI = silu_RI * grad_inner
        grad_gate_RI = torch.ops.aten.silu_backward(grad_inner.mul_(up_RI), gate_RI)
        grad_states = grad_gate_RI @ gate
        grad_states = grad_states.addmm_(grad_up_RI, up) if up.ndim == 2 else grad_states.baddbmm_(grad_up_RI, up)
        return grad_states.view(shape), grad_gate_RI.mT @ flat_RD, grad_up_RI.mT @ flat_RD, grad_down, None


def _rows(states: Tensor, matrix: Tensor) -> Tensor:
    """Flatten states to (R, D) for one matrix; leave those of an ensemble, (M, R, D)."""
    return states.flatten(0, -2) if matrix.ndim == 2 else states


def gated_unit(states: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """Compute the gated MLP (Shazeer 2020): down(silu(gate x) * (up x)).

    Args:
        states: (..., D), or of an ensemble (M, R, D).
        gate: (I, D), or of an ensemble (M, I, D).
        up: As `gate`.
        down: (D, I), or (M, D, I).

    Returns:
        As `states`, in the dtype of products.
    """
    dtype = product_dtype(states)
    if not torch.is_grad_enabled():  # the same operations, without the overhead of a function with a backward pass
        rows = _rows(states.to(dtype), gate)
        inner = torch.ops.aten.silu(rows @ gate.to(dtype).mT) * (rows @ up.to(dtype).mT)
        product: Tensor = inner @ down.to(dtype).mT
        return product.view(*states.shape[:-1], -1)
    out: Tensor = _GatedUnit.apply(states, gate, up, down, dtype)  # type: ignore[no-untyped-call]
    return out


def apply_rope(states: Tensor, rope: Tensor) -> Tensor:
    """Rotate each pair of features (2k, 2k + 1) by its position's angle.

    One complex product, which is fastest on a CPU; real numbers on other devices and for a compiler, which cannot fuse it.

    Args:
        states: (B, T, ..., K).
        rope: (T, 1, 1, K / 2, 2) or (B, T, 1, 1, K / 2, 2) float32, cosine and sine.

    Returns:
        As `states`, in its dtype.
    """
    pairs = states.to(torch.promote_types(states.dtype, torch.float32)).reshape(*states.shape[:-1], -1, 2)
    if states.device.type == "cpu" and not torch.compiler.is_compiling():
        product = torch.view_as_complex(pairs) * torch.view_as_complex(rope)
        return torch.view_as_real(product).flatten(-2).to(states.dtype)
    (even, odd), (cosine, sine) = pairs.unbind(-1), rope.unbind(-1)
    return torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], dim=-1).flatten(-2).to(states.dtype)
