"""Objectives compared with naive implementations in plain torch, by loops over sequences and targets."""

import math
from collections.abc import Callable, Iterable

import numpy as np
import pytest
import torch
from torch import Tensor

from lab.config.objective_table import OBJECTIVES
from lab.objectives import IGNORE, Objective, StepData, Targets, cross_entropy, multi_head_loss
from lab.objectives.step import draw_partners
from lab.registry import load_entry
from tests.helpers.tensors import Largest

B, T, D, V = 4, 11, 8, 7  # a small vocabulary: tokens repeat within a window
OTHERS = draw_partners(B, 0, 3)
EXACTNESS = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])


def step_of(n: int, window: int) -> StepData:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(V, (B, T), generator=generator)
    scored = torch.rand(B, T, generator=generator) < 0.6
    scored[3, 5:] = False
    shuffled = tokens.masked_fill(~scored, IGNORE)[torch.from_numpy(OTHERS)]
    return StepData(tokens, scored, n, window, shuffled)


def targets_of(name: str, step: StepData) -> Targets:
    return load_entry(OBJECTIVES[name].path, Objective, "objective.name").targets(step)


def states(n: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(9)
    hidden = torch.randn(n, B, T, D, generator=generator, dtype=dtype).requires_grad_()
    return hidden, torch.randn(V, D, generator=generator, dtype=dtype).requires_grad_()


def compute_loss(name: str, hidden: Tensor, matrix: Tensor, step: StepData, **more: object) -> Tensor:
    targets = targets_of(name, step)
    return multi_head_loss(hidden, matrix, targets, targets.per_head(), **more).total


# --- naive targets of a head at a position: a mapping from token to probability ---------------------------------------


def coming_tokens(step: StepData, b: int, t: int, window: int) -> list[tuple[int, int]]:
    """Return (distance, token) of every scored token among the next `window`."""
    ahead = range(t + 1, min(T, t + 1 + window))
    return [(at - t, int(step.tokens_BT[b, at])) for at in ahead if step.scored_BT[b, at]]


def at_offset(step: StepData, b: int, t: int, i: int) -> dict[int, float]:
    return {token: 1.0 for distance, token in coming_tokens(step, b, t, i) if distance == i}


def naive_sum(step: StepData, i: int, b: int, t: int, window: int) -> dict[int, float]:
    return at_offset(step, b, t, i)


def naive_shuffled(step: StepData, i: int, b: int, t: int, window: int) -> dict[int, float]:
    return at_offset(step, b if i == 1 else int(OTHERS[b]), t, i)


def naive_bag(step: StepData, i: int, b: int, t: int, window: int) -> dict[int, float]:
    if i == 1:
        return at_offset(step, b, t, 1)
    tokens = [token for _, token in coming_tokens(step, b, t, window)]
    return {token: tokens.count(token) / len(tokens) for token in tokens}


def naive_order(step: StepData, i: int, b: int, t: int, window: int) -> dict[int, float]:
    if i == 1:
        return at_offset(step, b, t, 1)
    soonest: dict[int, int] = {}
    for distance, token in coming_tokens(step, b, t, window):
        soonest.setdefault(token, distance)
    powers = {token: math.exp(window - distance) for token, distance in soonest.items()}
    return {token: power / sum(powers.values()) for token, power in powers.items()}


NAIVE: dict[str, Callable[[StepData, int, int, int, int], dict[int, float]]] = {
    "sum": naive_sum, "shuffled": naive_shuffled, "bag": naive_bag, "order": naive_order,
}  # fmt: skip


def naive_losses(name: str, hidden: Tensor, matrix: Tensor, step: StepData, window: int) -> list[Tensor]:
    """Compute the mean cross-entropy of each head."""
    means = []
    for i in range(1, len(hidden) + 1):
        terms = []
        for b in range(B):
            for t in range(T):
                distribution = NAIVE[name](step, i, b, t, window)
                if distribution:
                    log_p = (matrix @ hidden[i - 1, b, t]).log_softmax(-1)
                    terms.append(-sum(share * log_p[token] for token, share in distribution.items()))
        means.append(torch.stack(terms).mean())
    return means


def assert_close(found: Iterable[Tensor], wanted: Iterable[Tensor], tolerance: float) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert (one - other).norm() <= tolerance * other.norm()


@pytest.mark.parametrize("n", range(1, 5))
@pytest.mark.parametrize(
    ("name", "window"), [("sum", 1), ("shuffled", 1), *((a, w) for a in ("bag", "order") for w in (1, 3, 20))]
)
@EXACTNESS
def test_loss_and_gradients_agree_with_the_naive_ones(
    name: str, window: int, n: int, dtype: torch.dtype, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cross_entropy, "chunk_rows", lambda _: 17)  # several chunks, the last one short
    step = step_of(n, window)
    hidden, matrix = states(n, dtype)
    targets = targets_of(name, step)
    loss = multi_head_loss(hidden, matrix, targets, targets.per_head())
    naive = naive_losses(name, hidden, matrix, step, window)
    assert_close(loss.heads_N, naive, tolerance)
    assert_close([loss.total], [sum(naive)], tolerance)
    wanted = torch.autograd.grad(sum(naive), (hidden, matrix))
    assert_close(torch.autograd.grad(loss.total, (hidden, matrix)), wanted, tolerance)


@pytest.mark.parametrize("name", NAIVE)
def test_microbatches_of_a_step_add_up_to_it(name: str) -> None:
    step = step_of(3, 3)
    hidden, matrix = states(3, torch.float64)
    total = compute_loss(name, hidden, matrix, step)
    targets = targets_of(name, step)
    counts_N = targets.per_head() / B
    parts = zip(hidden.split(1, dim=1), targets.split(1), strict=True)
    loss = sum(multi_head_loss(states, matrix, each, counts_N).total for states, each in parts) / B
    torch.testing.assert_close(loss, total, rtol=1e-12, atol=0)
    one, other = (torch.autograd.grad(each, matrix)[0] for each in (loss, total))
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", NAIVE)
@pytest.mark.parametrize("n", range(1, 5))
@EXACTNESS
def test_weights_multiply_the_losses_of_heads(name: str, n: int, dtype: torch.dtype, tolerance: float) -> None:
    step = step_of(n, 3)
    hidden, matrix = states(n, dtype)
    weights = torch.tensor([1.0, 0.0, 0.3, 2.5][:n], dtype=dtype)
    total = compute_loss(name, hidden, matrix, step, weights_N=weights)
    wanted = sum(weight * loss for weight, loss in zip(weights, naive_losses(name, hidden, matrix, step, 3), strict=True))
    assert_close([total], [wanted], tolerance)
    assert_close(torch.autograd.grad(total, (hidden, matrix)), torch.autograd.grad(wanted, (hidden, matrix)), tolerance)


@pytest.mark.parametrize("name", NAIVE)
@pytest.mark.parametrize("n", range(1, 5))
@pytest.mark.parametrize("replicated", [False, True])
def test_detaching_keeps_losses_and_cuts_gradients(name: str, n: int, replicated: bool) -> None:
    step = step_of(n, 3)
    hidden, matrix = states(n, torch.float64)
    weights = [matrix.detach().clone().requires_grad_() for _ in range(n)] if replicated else [matrix]
    matrices = tuple(weights) if replicated else matrix
    plain, probed = (compute_loss(name, hidden, matrices, step, detached=detached) for detached in (False, True))
    torch.testing.assert_close(probed, plain, rtol=1e-12, atol=0)
    of_hidden, *of_weights = torch.autograd.grad(plain, (hidden, *weights), retain_graph=True)
    if not replicated:
        alone = compute_loss(name, hidden[:1], matrix, step_of(1, 3))
        of_weights = list(torch.autograd.grad(alone, matrix))
    assert_close(torch.autograd.grad(probed, (hidden, *weights)), (of_hidden, *of_weights), 1e-12)


def test_shuffling_permutes_targets_at_each_position() -> None:
    step = step_of(3, 1)
    plain, mixed = (targets_of(name, step).tokens for name in ("sum", "shuffled"))
    assert torch.equal(plain[0], mixed[0])
    assert torch.equal(plain.sort(dim=1).values, mixed.sort(dim=1).values)
    assert not torch.equal(plain[1:], mixed[1:])


@pytest.mark.parametrize("size", [2, 3, 32])
def test_no_sequence_keeps_its_own_targets(size: int) -> None:
    orders = [draw_partners(size, seed, step) for seed in (0, 1) for step in range(20)]
    for others in orders:
        assert not (others == np.arange(size)).any()
        assert sorted(others) == list(range(size))
    assert np.array_equal(orders[7], draw_partners(size, 0, 7))
    if size == 32:
        assert len({others.tobytes() for others in orders}) == len(orders)


def test_a_bag_ignores_the_order_and_an_order_does_not() -> None:
    sequences = [torch.tensor([[5, 1, 2, 3]]), torch.tensor([[5, 3, 1, 2]])]
    hidden, matrix = states(2, torch.float32)
    for name, same in (("bag", True), ("order", False)):
        losses = []
        for tokens_BT in sequences:
            everything_BT = torch.ones(1, 4, dtype=torch.bool)
            targets = targets_of(name, StepData(tokens_BT, everything_BT, 2, 3))
            first = Targets(*(each[:, :, :1] for each in targets))  # those of the first position
            losses.append(multi_head_loss(hidden[:, :1, :1], matrix, first, torch.ones(2)).heads_N[1])
        assert bool(torch.isclose(*losses)) == same


@pytest.mark.parametrize("name", ["bag", "order"])
@pytest.mark.parametrize("window", [T - 1, 1000])
def test_targets_grow_with_the_window_up_to_the_sequence(name: str, window: int) -> None:
    with Largest() as watch:
        targets_of(name, step_of(2, window))
    assert watch.elements <= 2 * B * T * (T - 1)


def test_every_plain_objective_has_a_naive_twin() -> None:
    assert set(NAIVE) == {name for name, kind in OBJECTIVES.items() if kind.plain}


def test_no_tensor_grows_with_positions_times_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_entropy, "CHUNK_ELEMENTS", 1 << 18)
    vocabulary, positions = 4096, 128
    hidden = torch.randn(4, 1, positions, 4, requires_grad=True)
    matrix = torch.randn(vocabulary, 4, requires_grad=True)
    step = StepData(torch.randint(vocabulary, (1, positions)), torch.ones(1, positions, dtype=torch.bool), 4, 16)
    targets = targets_of("order", step)
    with Largest() as watch:
        multi_head_loss(hidden, matrix, targets, targets.per_head()).total.backward()
    assert watch.elements <= 1 << 18 < positions * vocabulary
