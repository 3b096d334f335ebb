"""Each kernel agrees with plain torch, forward and backward."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import lab
from lab.model import attention, build
from lab.model.attention import attend
from lab.model.kernels import apply_rope, gated_unit, rms_norm
from lab.model.layers import RopeCache


def assert_same(ours: Callable[..., Tensor], plain: Callable[..., Tensor], *inputs: Tensor, tolerance: float = 1e-5) -> None:
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


def test_the_norm_is_that_of_torch() -> None:
    states, weight = torch.randn(2, 5, 12) * 3, torch.rand(12)
    assert_same(lambda x, g: rms_norm(x, g, 1e-6), lambda x, g: F.rms_norm(x, (12,), g, 1e-6), states, weight)


@pytest.mark.parametrize("leading", [(), (2,)], ids=str)
def test_the_norm_of_an_ensemble_has_each_members_weight(leading: tuple[int, ...]) -> None:
    states, weights = torch.randn(*leading, 3, 5, 12) * 3, torch.rand(3, 1, 12)

    def one_by_one(x: Tensor, g: Tensor) -> Tensor:
        members = [F.rms_norm(own, (12,), weight[0], 1e-6) for own, weight in zip(x.unbind(-3), g, strict=True)]
        return torch.stack(members, dim=-3)

    assert_same(lambda x, g: rms_norm(x, g, 1e-6), one_by_one, states, weights)


def test_the_norms_gradient_is_exact() -> None:
    states, weight = (torch.randn(3, 6, dtype=torch.float64, requires_grad=True), torch.rand(6, dtype=torch.float64))
    assert torch.autograd.gradcheck(lambda x: rms_norm(x, weight, 1e-6), states)


def test_rope_rotates_each_pair() -> None:
    states = torch.randn(2, 7, 3, 8)
    angles = torch.rand(7, 1, 4) * 6

    def plain(x: Tensor) -> Tensor:
        even, odd = x[..., 0::2], x[..., 1::2]
        rotated = torch.stack([even * angles.cos() - odd * angles.sin(), even * angles.sin() + odd * angles.cos()], dim=-1)
        return rotated.flatten(-2)

    rope = torch.stack([angles.cos(), angles.sin()], dim=-1)
    assert_same(lambda x: apply_rope(x, rope), plain, states)


def rope_of(length: int, width: int) -> Tensor:
    angles = torch.arange(length)[:, None, None, None] * torch.linspace(1, 0.1, width // 2)
    return torch.stack([angles.cos(), angles.sin()], dim=-1)


def plain_attention(qkv: Tensor, rope: Tensor) -> Tensor:
    queries, keys = apply_rope(qkv[:, :, :2].float(), rope).transpose(1, 3).unbind(2)
    scores = queries @ keys.transpose(-1, -2) * qkv.shape[-1] ** -0.5
    future = torch.ones(qkv.shape[1], qkv.shape[1], dtype=torch.bool).triu(1)
    mixed = scores.masked_fill(future, -torch.inf).softmax(-1) @ qkv[:, :, 2].transpose(1, 2).float()
    return mixed.transpose(1, 2).to(qkv.dtype)


@pytest.mark.parametrize("length", [1, 2, 9, 64, 65, 130, 200])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.03)])
def test_attention_is_a_causal_softmax(length: int, dtype: torch.dtype, tolerance: float) -> None:
    rope = rope_of(length, 8)
    qkv = torch.randn(2, length, 3, 3, 8).to(dtype)
    assert_same(lambda x: attend(x, rope), lambda x: plain_attention(x, rope), qkv, tolerance=tolerance)


@pytest.mark.parametrize("length", [1, 64, 130])
def test_attention_for_a_compiler_is_the_same(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    rope, qkv = rope_of(length, 8), torch.randn(2, length, 3, 3, 8)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert_same(lambda x: attend(x, rope), lambda x: plain_attention(x, rope), qkv)


def test_long_sequences_use_torchs_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    rope, qkv = rope_of(40, 8), torch.randn(2, 40, 3, 2, 8)
    monkeypatch.setattr(attention, "LONGEST", 39)
    assert_same(lambda x: attend(x, rope), lambda x: plain_attention(x, rope), qkv)


def test_attentions_gradient_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "_BLOCK", 3)
    qkv = torch.randn(2, 7, 3, 2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: attend(x, rope_of(7, 4)), qkv)


def plain_gated_unit(states: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
    return F.linear(F.silu(F.linear(states, gate)) * F.linear(states, up), down)


def test_the_gated_unit_is_three_products_and_a_gate() -> None:
    states, gate, up, down = torch.randn(2, 5, 12), torch.randn(16, 12), torch.randn(16, 12), torch.randn(12, 16)
    assert_same(gated_unit, plain_gated_unit, states, gate, up, down)


def test_the_gated_unit_of_an_ensemble_has_own_matrices() -> None:
    inputs = torch.randn(3, 5, 12), torch.randn(3, 16, 12), torch.randn(3, 16, 12), torch.randn(3, 12, 16)
    assert_same(gated_unit, lambda *each: torch.stack([plain_gated_unit(*own) for own in zip(*each, strict=True)]), *inputs)


def test_the_gated_units_gradient_is_exact() -> None:
    shapes = [(2, 3, 4), (5, 4), (5, 4), (4, 5)]
    inputs = [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(gated_unit, inputs)


def test_autocast_is_that_of_products_with_exact_gradients() -> None:
    states, weight = torch.randn(3, 8, requires_grad=True), torch.rand(8, requires_grad=True)
    gate, up, down = (torch.randn(*shape, requires_grad=True) for shape in ((16, 8), (16, 8), (8, 16)))
    plain = plain_gated_unit(F.rms_norm(states, (8,), weight, 1e-6), gate, up, down)
    expected = torch.autograd.grad(plain.sum(), (states, weight, gate, up, down))
    with torch.autocast("cpu", torch.bfloat16):
        out = gated_unit(rms_norm(states, weight, 1e-6), gate, up, down)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), plain, rtol=0.05, atol=0.2)
    for ours, exact in zip(torch.autograd.grad(out.sum(), (states, weight, gate, up, down)), expected, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - exact).norm() <= 0.03 * exact.norm()


def test_positions_of_float64_networks_are_float64() -> None:
    table, cpu = RopeCache(6, 100.0), torch.device("cpu")
    single = table(None, 9, cpu).clone()
    double = table(None, 9, cpu, torch.float64)
    angles = [[t * 100.0 ** (-2 * k / 6) for k in range(3)] for t in range(9)]
    exact = torch.tensor([[[math.cos(angle), math.sin(angle)] for angle in row] for row in angles], dtype=torch.float64)
    torch.testing.assert_close(double[:, 0, 0], exact, rtol=0, atol=1e-15)
    assert torch.equal(single, double.float())
    network = build(lab.experiment("induction", {"model.width": 8, "model.n_heads": 2})).double()
    network(torch.zeros(1, 5, dtype=torch.int64))
    assert network.rope.table.dtype == torch.float64
