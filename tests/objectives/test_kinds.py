"""The arms against naive implementations in plain torch, row by row and target by target."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from lab.config.objective import ARMS, RULES
from lab.objectives import IGNORE, OBJECTIVES, Part, cross_entropy, summed
from lab.objectives.schedule import WEIGHTS
from lab.training.feed import other_rows
from tests.objectives.test_cross_entropy import Largest

B, T, D, V = 4, 11, 8, 7  # a small vocabulary: tokens come again within a window
OTHERS = other_rows(B, 0, 3)
EXACTNESS = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])


def part_of(name: str, n: int, window: int) -> Part:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(V, (B, T), generator=generator)
    scored = torch.rand(B, T, generator=generator) < 0.6
    scored[3, 5:] = False
    elsewhere = tokens.masked_fill(~scored, IGNORE)[torch.from_numpy(OTHERS)]
    return Part(tokens, scored, torch.tensor(OBJECTIVES[name].counts(scored.numpy(), n, window)), elsewhere)


def states(n: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(9)
    hidden = torch.randn(n, B, T, D, generator=generator, dtype=dtype).requires_grad_()
    return hidden, torch.randn(V, D, generator=generator, dtype=dtype).requires_grad_()


def ours(name: str, hidden: Tensor, matrix: Tensor, part: Part, window: int, **more: object) -> Tensor:
    tokens, scores = OBJECTIVES[name].targets(part, len(hidden), window)
    return summed(hidden, matrix, tokens, part.counts_N, scores_NBTK=scores, **more).total


# --- what a head must predict at a position, as a mapping from token to probability ----------------------------------


def coming(part: Part, b: int, t: int, window: int) -> list[tuple[int, int]]:
    """(distance, token) of every scored token among the next `window`."""
    ahead = range(t + 1, min(T, t + 1 + window))
    return [(at - t, int(part.tokens_BT[b, at])) for at in ahead if part.scored_BT[b, at]]


def at_offset(part: Part, b: int, t: int, i: int) -> dict[int, float]:
    return {token: 1.0 for distance, token in coming(part, b, t, i) if distance == i}


def naive_sum(part: Part, i: int, b: int, t: int, window: int) -> dict[int, float]:
    return at_offset(part, b, t, i)


def naive_shuffled(part: Part, i: int, b: int, t: int, window: int) -> dict[int, float]:
    return at_offset(part, b if i == 1 else int(OTHERS[b]), t, i)


def naive_bag(part: Part, i: int, b: int, t: int, window: int) -> dict[int, float]:
    if i == 1:
        return at_offset(part, b, t, 1)
    tokens = [token for _, token in coming(part, b, t, window)]
    return {token: tokens.count(token) / len(tokens) for token in tokens}


def naive_order(part: Part, i: int, b: int, t: int, window: int) -> dict[int, float]:
    if i == 1:
        return at_offset(part, b, t, 1)
    soonest: dict[int, int] = {}
    for distance, token in coming(part, b, t, window):
        soonest.setdefault(token, distance)
    powers = {token: math.exp(window - distance) for token, distance in soonest.items()}
    return {token: power / sum(powers.values()) for token, power in powers.items()}


NAIVE: dict[str, Callable[[Part, int, int, int, int], dict[int, float]]] = {
    "sum": naive_sum, "shuffled": naive_shuffled, "bag": naive_bag, "order": naive_order,
}  # fmt: skip


def naive_losses(name: str, hidden: Tensor, matrix: Tensor, part: Part, window: int) -> list[Tensor]:
    """Each head's mean cross-entropy."""
    means = []
    for i in range(1, len(hidden) + 1):
        terms = []
        for b in range(B):
            for t in range(T):
                law = NAIVE[name](part, i, b, t, window)
                if law:
                    log_p = (matrix @ hidden[i - 1, b, t]).log_softmax(-1)
                    terms.append(-sum(share * log_p[token] for token, share in law.items()))
        means.append(torch.stack(terms).mean())
    return means


def close(found: object, wanted: object, tolerance: float) -> None:
    for one, other in zip(found, wanted, strict=True):  # type: ignore[call-overload]
        assert (one - other).norm() <= tolerance * other.norm()


@pytest.mark.parametrize("n", range(1, 5))
@pytest.mark.parametrize(
    ("name", "window"), [("sum", 1), ("shuffled", 1), *((a, w) for a in ("bag", "order") for w in (1, 3, 20))]
)
@EXACTNESS
def test_every_arms_loss_and_gradients_are_the_naive_ones(
    name: str, window: int, n: int, dtype: torch.dtype, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cross_entropy, "chunk_rows", lambda _: 17)  # several chunks, the last one short
    part = part_of(name, n, window)
    hidden, matrix = states(n, dtype)
    tokens, scores = OBJECTIVES[name].targets(part, n, window)
    loss = summed(hidden, matrix, tokens, part.counts_N, scores_NBTK=scores)
    naive = naive_losses(name, hidden, matrix, part, window)
    close(loss.heads_N, naive, tolerance)
    close([loss.total], [sum(naive)], tolerance)
    wanted = torch.autograd.grad(sum(naive), (hidden, matrix))
    close(torch.autograd.grad(loss.total, (hidden, matrix)), wanted, tolerance)


@pytest.mark.parametrize("name", NAIVE)
def test_parts_of_a_step_add_up_to_the_step(name: str) -> None:
    whole = part_of(name, 3, 3)
    hidden, matrix = states(3, torch.float64)
    total = ours(name, hidden, matrix, whole, 3)
    pieces = [(slice(0, 1), 4), (slice(1, 2), 4), (slice(2, 3), 4), (slice(3, 4), 4)]
    losses = [
        ours(name, hidden[:, rows], matrix,
             Part(whole.tokens_BT[rows], whole.scored_BT[rows], whole.counts_N / parts, whole.elsewhere_BT[rows]), 3)
        for rows, parts in pieces
    ]  # fmt: skip
    torch.testing.assert_close(sum(losses) / 4, total, rtol=1e-12, atol=0)
    one, other = (torch.autograd.grad(loss, matrix)[0] for loss in (sum(losses) / 4, total))
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", NAIVE)
@pytest.mark.parametrize("n", range(1, 5))
@EXACTNESS
def test_weights_weigh_each_heads_loss(name: str, n: int, dtype: torch.dtype, tolerance: float) -> None:
    part = part_of(name, n, 3)
    hidden, matrix = states(n, dtype)
    weights = torch.tensor([1.0, 0.0, 0.3, 2.5][:n], dtype=dtype)
    total = ours(name, hidden, matrix, part, 3, weights_N=weights)
    wanted = sum(weight * loss for weight, loss in zip(weights, naive_losses(name, hidden, matrix, part, 3), strict=True))
    close([total], [wanted], tolerance)
    close(torch.autograd.grad(total, (hidden, matrix)), torch.autograd.grad(wanted, (hidden, matrix)), tolerance)


@pytest.mark.parametrize("name", NAIVE)
@pytest.mark.parametrize("n", range(1, 5))
@pytest.mark.parametrize("replicated", [False, True])
def test_detached_losses_are_the_same_but_send_no_gradient_to_head_1s_unembedding(name: str, n: int, replicated: bool) -> None:
    part = part_of(name, n, 3)
    hidden, matrix = states(n, torch.float64)
    weights = [matrix.detach().clone().requires_grad_() for _ in range(n)] if replicated else [matrix]
    matrices = tuple(weights) if replicated else matrix
    plain, probed = (ours(name, hidden, matrices, part, 3, detached=detached) for detached in (False, True))
    torch.testing.assert_close(probed, plain, rtol=1e-12, atol=0)
    of_hidden, *of_weights = torch.autograd.grad(plain, (hidden, *weights), retain_graph=True)
    if not replicated:
        alone = ours(name, hidden[:1], matrix, part_of(name, 1, 3), 3)
        of_weights = list(torch.autograd.grad(alone, matrix))
    close(torch.autograd.grad(probed, (hidden, *weights)), (of_hidden, *of_weights), 1e-12)


def test_shuffling_leaves_the_targets_of_every_head_and_position_the_same_altogether() -> None:
    part = part_of("shuffled", 3, 1)
    plain, mixed = (OBJECTIVES[name].targets(part, 3, 1).tokens for name in ("sum", "shuffled"))
    assert torch.equal(plain[0], mixed[0])
    assert torch.equal(plain.sort(dim=1).values, mixed.sort(dim=1).values)
    assert not torch.equal(plain[1:], mixed[1:])


@pytest.mark.parametrize("size", [2, 3, 32])
def test_no_row_keeps_its_own_targets_and_each_is_used_once(size: int) -> None:
    orders = [other_rows(size, seed, step) for seed in (0, 1) for step in range(20)]
    for others in orders:
        assert not (others == np.arange(size)).any()
        assert sorted(others) == list(range(size))
    assert np.array_equal(orders[7], other_rows(size, 0, 7))
    if size == 32:
        assert len({others.tobytes() for others in orders}) == len(orders)


def test_a_bag_knows_no_order_and_an_order_does() -> None:
    rows = [torch.tensor([[5, 1, 2, 3]]), torch.tensor([[5, 3, 1, 2]])]
    hidden, matrix = torch.randn(2, 1, 1, D), torch.randn(V, D)
    for name, same in (("bag", True), ("order", False)):
        losses = []
        for tokens in rows:
            everything = torch.ones(1, 4, dtype=torch.bool)
            targets, scores = OBJECTIVES[name].targets(Part(tokens, everything, torch.ones(2)), 2, 3)
            losses.append(summed(hidden, matrix, targets[:, :, :1], torch.ones(2), scores_NBTK=scores[:, :, :1]).heads_N[1])
        assert bool(torch.isclose(*losses)) == same


def test_the_settings_know_every_arm_and_rule() -> None:
    assert tuple(OBJECTIVES) == ARMS
    assert tuple(WEIGHTS) == RULES
    assert set(NAIVE) == set(OBJECTIVES), "a new arm needs a naive implementation here"


def test_no_tensor_grows_with_rows_times_vocabulary() -> None:
    vocabulary, rows = 32768, 256
    hidden = torch.randn(4, 1, rows, 4, requires_grad=True)
    matrix = torch.randn(vocabulary, 4, requires_grad=True)
    part = Part(torch.randint(vocabulary, (1, rows)), torch.ones(1, rows, dtype=torch.bool), torch.full((4,), rows))
    tokens, scores = OBJECTIVES["order"].targets(part, 4, 16)
    with Largest() as watch:
        summed(hidden, matrix, tokens, part.counts_N, scores_NBTK=scores).total.backward()
    assert watch.elements <= 1 << 22 < rows * vocabulary
