"""Losses of another form: the tokens that each depends on, repeated tokens, windows, extreme logits and memory."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import tasks
from lab.config import Experiment
from lab.errors import LabError
from lab.objectives import IGNORE, States, StepData, cross_entropy, find_objective
from lab.objectives.coarse import Coarse
from lab.objectives.coarse import replace_by_gradient as class_loss
from lab.objectives.coming import Coming
from lab.objectives.future_bag import replace_by_gradient as bag_loss
from lab.objectives.hinge import find_active_pairs, logits_of_coming
from tests.helpers.tensors import Largest
from tests.helpers.tiny import tiny

B, T, D, N = 3, 9, 6, 2
WINDOW = 4
SEES: dict[str, tuple[int, int]] = {"future_bag": (2, WINDOW), "hinge": (1, WINDOW), "coarse": (1, 1)}
"""First and last distance ahead of the tokens on which the further losses of an objective depend."""
EVERY = pytest.mark.parametrize("name", SEES)


def of_objective(name: str, window: int = WINDOW) -> Experiment:
    return tiny("agreement", n_future=N, objective__name=name, objective__window=window, model__layers=4)


def random_states(vocabulary: int, length: int = T, size: int = B, scored: float = 0.7) -> States:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(N, size, length, D, generator=generator, dtype=torch.float64).requires_grad_()
    matrix = torch.randn(vocabulary, D, generator=generator, dtype=torch.float64).requires_grad_()
    tokens = torch.randint(vocabulary, (size, length), generator=generator)
    scored_BT = torch.rand(size, length, generator=generator) < scored
    return States(hidden, matrix, matrix, tokens, scored_BT, torch.ones_like(scored_BT), {})


def losses_of(name: str, states: States, window: int = WINDOW) -> Tensor:
    experiment = of_objective(name, window)
    make = find_objective(experiment).extra
    assert make is not None
    losses: Tensor = make(experiment)(states)
    return losses


def gradient_of(name: str, states: States) -> Tensor:
    """Return the gradient of the further losses in the hidden states, (N, B, T, D)."""
    return torch.autograd.grad(losses_of(name, states).sum(), states.hidden_NBSD)[0]


@EVERY
def test_a_loss_depends_on_its_window_and_nothing_else(name: str) -> None:
    """If a token changes, or whether it is scored, gradients change at every distance of the window and at no other."""
    vocabulary = of_objective(name).task.vocab_size
    states, seen = random_states(vocabulary), set()
    before = gradient_of(name, states)
    for s in range(T):
        for change in (1, 5, None):
            tokens, scored = states.tokens_BT.clone(), states.scored_BT.clone()
            if change is None:
                scored[:, s] ^= True
            else:
                tokens[:, s] = (tokens[:, s] + change) % vocabulary
            after = gradient_of(name, states._replace(tokens_BT=tokens, scored_BT=scored))
            changed = (after != before).any(-1).any(0).any(0)
            seen |= {s - int(t) for t in changed.nonzero()}
    first, last = SEES[name]
    assert seen == set(range(first, last + 1))


@EVERY
def test_a_loss_trains_its_own_heads_alone(name: str) -> None:
    """Losses on head 1 have no gradient in further heads, and losses on further heads none in head 1."""
    used = gradient_of(name, random_states(of_objective(name).task.vocab_size)).abs().sum((1, 2, 3)) > 0
    assert used.tolist() == ([False, True] if name == "future_bag" else [True, False])


@EVERY
def test_a_window_ends_with_its_sequence(name: str) -> None:
    states = random_states(of_objective(name).task.vocab_size)
    whole, longer = (losses_of(name, states, window) for window in (T - 1, 50))
    torch.testing.assert_close(longer, whole, rtol=1e-12, atol=0)
    coming = Coming(states.tokens_BT, states.scored_BT, 1, 50).everywhere()
    assert coming.shape == (B, T, T - 1)


def count_and_sum_without_logits(name: str) -> tuple[States, int, float]:
    """Return states whose logits are all 0, the number of targets of the further losses, and the sum of these losses."""
    experiment = of_objective(name)
    states = random_states(experiment.task.vocab_size, scored=0.2)
    states = states._replace(hidden_NBSD=torch.zeros_like(states.hidden_NBSD))
    counts = find_objective(experiment).counts
    assert counts is not None
    (count,) = counts(StepData(states.tokens_BT, states.scored_BT, N, WINDOW)).tolist()
    return states, count, losses_of(name, states).item()


def test_hinge_counts_pairs_of_coming_tokens() -> None:
    _, count, total = count_and_sum_without_logits("hinge")
    assert total == count > 0, "a pair of equal logits has a loss of 1, the margin"


def test_future_bag_counts_positions_with_a_coming_token() -> None:
    states, count, total = count_and_sum_without_logits("future_bag")
    bags = Coming(states.tokens_BT, states.scored_BT, 2, WINDOW).everywhere()
    assert count == (bags != IGNORE).any(-1).sum()
    assert total == pytest.approx(count * math.log(2))


def test_coarse_counts_scored_tokens() -> None:
    states, count, total = count_and_sum_without_logits("coarse")
    classes = torch.from_numpy(of_objective("coarse").task.classes)
    sizes = classes.bincount()[classes[states.tokens_BT[:, 1:][states.scored_BT[:, 1:]]]]
    assert len(sizes) == count
    assert total == pytest.approx((math.log(len(classes)) - sizes.log()).sum().item())


def test_coming_tokens_are_at_their_first_occurrence() -> None:
    tokens = torch.tensor([[3, 5, 3, 5, 5, 4]])
    scored = torch.tensor([[True, True, True, False, True, True]])
    coming = Coming(tokens, scored, 1, 4).everywhere()[0].tolist()
    assert coming[0] == [5, 3, IGNORE, IGNORE]  # the second 5 is not scored, the third is a repetition
    assert coming[1] == [3, IGNORE, 5, 4]
    assert coming[4] == [4, IGNORE, IGNORE, IGNORE]
    assert Coming(tokens, scored, 2, 3).everywhere()[0, 0].tolist() == [3, IGNORE]


@pytest.mark.parametrize("window", [1, 2, 3, 5, 8, 11])
def test_logits_of_windows_equal_those_of_the_sequence(window: int) -> None:
    states = random_states(7, length=11)
    hidden, rows = states.hidden_NBSD[0], states.embedding_VD[states.tokens_BT]
    found = logits_of_coming(hidden, rows, window)
    assert found.shape == (B, 11, window)
    for t in range(11):
        for ahead in range(1, min(window, 10 - t) + 1):
            torch.testing.assert_close(found[:, t, ahead - 1], (hidden[:, t] * rows[:, t + ahead]).sum(-1))


def test_slopes_count_active_pairs() -> None:
    logits = torch.tensor([[[3.0, 1.0, 1.5, 9.0]]])
    counted = torch.tensor([[[True, True, True, False]]])
    active, slopes = find_active_pairs(logits, counted)  # 3 leads both; 1 does not lead 1.5
    assert active == 1
    assert slopes.flatten().tolist() == [0, -1, 1, 0]


@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_gradients_are_right_at_extreme_logits(scale: float) -> None:
    """In float32, for logits whose probabilities underflow, gradients equal those of autograd in float64."""
    logits = scale * torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    inside = torch.arange(8) % 2 == 0
    bags = torch.tensor([[0, 3, IGNORE]] * 5)
    exact = logits.double().requires_grad_()
    labels = torch.zeros(5, 8, dtype=torch.float64).index_fill_(1, torch.tensor([0, 3]), 1.0)
    naive: list[tuple[Callable[[Tensor], Tensor], Tensor]] = [
        (lambda found: bag_loss(found, bags), (torch.nn.functional.softplus(exact) - exact * labels).mean(1)),
        (lambda found: class_loss(found, inside.expand(5, 8)), exact.logsumexp(1) - exact[:, inside].logsumexp(1)),
    ]
    for ours, wanted in naive:
        found = logits.clone()
        losses = ours(found)
        torch.testing.assert_close(losses, wanted.float(), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(found, torch.autograd.grad(wanted.sum(), exact)[0].float(), rtol=1e-4, atol=1e-5)


@EVERY
def test_chunks_do_not_change_the_loss(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    states = random_states(of_objective(name).task.vocab_size)
    whole = losses_of(name, states), gradient_of(name, states)
    monkeypatch.setattr(cross_entropy, "chunk_rows", lambda _: 7)  # several chunks, the last one short
    for one, other in zip(whole, (losses_of(name, states), gradient_of(name, states)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


@EVERY
def test_no_tensor_grows_with_positions_times_vocabulary(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    vocabulary, length = 4096, 128
    monkeypatch.setattr(cross_entropy, "CHUNK_ELEMENTS", 1 << 18)
    monkeypatch.setattr(type(of_objective(name).task), "vocab_size", vocabulary)
    monkeypatch.setattr(type(of_objective(name).task), "classes", None)
    states = random_states(vocabulary, length=length, size=1)
    with Largest() as watch:
        losses_of(name, states, length).sum().backward()
    assert watch.elements <= 1 << 18 < length * vocabulary


def test_classes_are_the_tasks_or_ids_modulo_four() -> None:
    own, none = (Coarse(tiny(task, objective__name="coarse")).classes_V.tolist() for task in ("agreement", "induction"))
    assert own == tasks.get("agreement").classes.tolist()
    assert none == [0, 1, 2, 3] * 3


@pytest.mark.parametrize("name", ["future_bag", "hinge"])
def test_a_window_without_further_targets_is_rejected(name: str) -> None:
    with pytest.raises(LabError, match=f"objective.window must be at least 2 with objective.name {name}, not 1"):
        of_objective(name, 1)


def test_headless_rejects_tokens_beyond_every_sequence() -> None:
    """Their losses would be reported as 0, and each would have a stage of a curriculum."""
    length = of_objective("headless").task.length
    find_objective(of_objective("headless", length - 1))
    with pytest.raises(LabError, match=f"objective.window must be below {length}, the sequence length of agreement"):
        find_objective(of_objective("headless", length))
