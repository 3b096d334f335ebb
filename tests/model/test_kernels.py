"""Each kernel against its plain twin, forward and backward."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lab.model.kernels import causal_attention, rms_norm, rotate


def same(ours: Callable[..., Tensor], plain: Callable[..., Tensor], *inputs: Tensor, tolerance: float = 1e-5) -> None:
    results = []
    for function in (ours, plain):
        leaves = [each.clone().requires_grad_() for each in inputs]
        output = function(*leaves)
        generator = torch.Generator().manual_seed(1)
        upstream = torch.randn(output.shape, generator=generator).to(output.dtype)
        results.append((output, *torch.autograd.grad(output, leaves, upstream)))
    for one, other in zip(*results, strict=True):
        assert one.dtype == other.dtype
        assert (one - other).float().norm() <= tolerance * other.float().norm()


def test_the_norm_is_torchs_own() -> None:
    states, gain = torch.randn(2, 5, 12) * 3, torch.rand(12)
    same(lambda x, g: rms_norm(x, g, 1e-6), lambda x, g: F.rms_norm(x, (12,), g, 1e-6), states, gain)


def test_the_norms_gradient_passes_torchs_check() -> None:
    states, gain = (torch.randn(3, 6, dtype=torch.float64, requires_grad=True), torch.rand(6, dtype=torch.float64))
    assert torch.autograd.gradcheck(lambda x: rms_norm(x, gain, 1e-6), states)


def test_turning_is_the_rotation_of_each_pair() -> None:
    states = torch.randn(2, 7, 3, 8)
    angles = torch.rand(7, 1, 4) * 6

    def plain(x: Tensor) -> Tensor:
        even, odd = x[..., 0::2], x[..., 1::2]
        turned = torch.stack([even * angles.cos() - odd * angles.sin(), even * angles.sin() + odd * angles.cos()], dim=-1)
        return turned.flatten(-2)

    turns = torch.polar(torch.ones_like(angles), angles)
    same(lambda x: rotate(x, turns), plain, states)


@pytest.mark.parametrize("length", [1, 2, 9, 64])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.03)])
def test_attention_is_the_plain_softmax_over_the_past(length: int, dtype: torch.dtype, tolerance: float) -> None:
    queries, keys, values = (torch.randn(2, 3, length, 8).to(dtype) for _ in range(3))

    def plain(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = q.float() @ k.float().transpose(-1, -2) * 8**-0.5
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        return (scores.masked_fill(future, -torch.inf).softmax(-1) @ v.float()).to(dtype)

    same(causal_attention, plain, queries, keys, values, tolerance=tolerance)
