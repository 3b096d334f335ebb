import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from tasks import TaskError
from tasks.induction import BOUNDARY, COPY, NEW
from tests.helpers.enumeration import assert_joints_are_exact


@st.composite
def small_tasks(draw: st.DrawFn) -> tasks.Task:
    vocabulary = draw(st.integers(4, 40))
    low = draw(st.integers(1, vocabulary))
    high = draw(st.integers(low, vocabulary))
    return tasks.get("induction", vocabulary=vocabulary, period=(low, high), length=2 * high + draw(st.integers(0, 9)))


@given(small_tasks(), st.integers(0, 2**63))
@settings(max_examples=40, deadline=None)
def test_sequences_repeat_a_segment_of_distinct_tokens(task: tasks.Task, seed: int) -> None:
    batch = task.draw(np.random.default_rng(seed), 8, "train")
    for tokens, roles in zip(batch.tokens.tolist(), batch.roles.tolist(), strict=True):
        period = roles.count(NEW)
        assert task.period[0] <= period <= task.period[1]
        assert len(set(tokens[:period])) == period
        assert tokens == [tokens[position % period] for position in range(task.length)]
        assert roles == [NEW] * period + [BOUNDARY] + [COPY] * (task.length - period - 1)


def test_periods_are_uniform() -> None:
    task = tasks.get("induction", vocabulary=12, period=(3, 6), length=12)
    periods = (task.batch(0, 0, 8000).roles == NEW).sum(axis=1)
    counts = np.bincount(periods, minlength=7)[3:]
    assert counts.sum() == 8000
    assert abs(counts - 2000).max() < 5 * math.sqrt(2000)


def test_floors_agree_with_enumeration_of_every_segment() -> None:
    task = tasks.get("induction", vocabulary=5, period=(2, 4), length=8)
    new, boundary = [], []
    for period in range(2, 5):
        boundary += [-math.log(1 / (5 - period))]  # the possible periods are period .. 4
        goes_on = [-math.log(1 - 1 / (5 - position)) if position >= 2 else 0.0 for position in range(1, period)]
        new += [math.log(5 - position) + nats for position, nats in enumerate(goes_on, start=1)]
    assert task.floor("boundary") == pytest.approx(np.mean(boundary))
    assert task.floor("new") == pytest.approx(np.mean(new))
    assert task.floor("copy") == 0
    assert task.floor("-") is None


def distribution_of(task: tasks.Task) -> dict[tuple[int, ...], float]:
    """Enumerate the sequences of a task; return the probability of each."""
    low, high = task.period
    distribution: dict[tuple[int, ...], float] = {}
    for period in range(low, high + 1):
        for segment in itertools.permutations(range(task.vocabulary), period):
            sequence = tuple(segment[position % period] for position in range(task.length))
            distribution[sequence] = 1 / (high + 1 - low) / math.perm(task.vocabulary, period)
    return distribution


@pytest.mark.parametrize("settings", [{"period": (1, 3), "length": 6}, {"period": (2, 4), "length": 9}], ids=str)
def test_joints_agree_with_enumeration(settings: dict[str, Any]) -> None:
    task = tasks.get("induction", vocabulary=4, **settings)
    distribution = distribution_of(task)
    sequences, chances = np.array(list(distribution)), np.array(list(distribution.values()))
    assert_joints_are_exact(task, sequences, chances, range(task.length - 2))


def test_latents_are_the_period_and_the_token_to_copy() -> None:
    task = tasks.get("induction", vocabulary=9, period=(2, 4), length=9)
    sequences = ([6, 0, 6, 0, 6, 0, 6, 0, 6], [7, 3, 5, 7, 3, 5, 7, 3, 5], [1, 8, 4, 2, 1, 8, 4, 2, 1])
    latents = task.latents(task.label(np.array(sequences)))
    np.testing.assert_array_equal(latents["period"], [[-1] * 2 + [0] * 7, [-1] * 3 + [1] * 6, [-1] * 3 + [2] * 6])
    copied = [[-1, -1, 0, 6, 0, 6, 0, 6, 0], [-1, -1, -1, 3, 5, 7, 3, 5, 7], [-1, -1, -1, 1, 8, 4, 2, 1, 8]]
    np.testing.assert_array_equal(latents["token to copy"], copied)


def test_a_contrast_changes_all_copies_of_a_token() -> None:
    task = tasks.get("induction", vocabulary=5, period=(1, 5), length=10)
    batch = task.batch(0, 0, 64)
    contrast = task.contrast(batch)
    periods = (batch.roles == NEW).sum(axis=1)
    np.testing.assert_array_equal(contrast.sequence, np.flatnonzero(periods < 5))
    for number, row in enumerate(contrast.sequence.tolist()):
        old, new = batch.tokens[row], contrast.tokens[number]
        changed = contrast.changed[number]
        assert contrast.answer[number] == changed + periods[row]
        assert changed > 0 or periods[row] == 1
        np.testing.assert_array_equal(np.flatnonzero(old != new), np.arange(changed, 10, periods[row]))


def test_the_optimum_is_the_exact_posterior_over_all_segments() -> None:
    task = tasks.get("induction", vocabulary=4, period=(1, 3), length=6)
    distribution = distribution_of(task)
    sequences = np.array(list(distribution))
    optimum = task.optimum(sequences)
    for sequence, losses in zip(distribution, optimum, strict=True):
        for position in range(6):
            before = sum(mass for other, mass in distribution.items() if other[:position] == sequence[:position])
            here = sum(mass for other, mass in distribution.items() if other[: position + 1] == sequence[: position + 1])
            assert losses[position] == pytest.approx(-math.log(here / before), abs=1e-12), (sequence, position)


def test_the_mean_optimum_of_the_boundary_is_its_floor() -> None:
    task = tasks.get("induction")
    batch = task.batch(0, 0, 20_000)
    losses = task.optimum(batch.tokens)[batch.roles == BOUNDARY]
    assert losses.mean() == pytest.approx(task.floor("boundary"), abs=3 * losses.std() / math.sqrt(len(losses)))


def test_length_does_not_change_an_instance() -> None:
    long = tasks.get("induction", vocabulary=10, period=(3, 6), length=40)
    short = tasks.get("induction", vocabulary=10, period=(3, 6), length=12)
    sequences = long.batch(0, 0, 50).tokens
    np.testing.assert_array_equal(long.instances(sequences), short.instances(sequences[:, :12]))


def test_the_far_variant_has_periods_outside_training() -> None:
    far = tasks.get("induction", test_period=(28, 30)).variants()["far"]
    periods = (far.batch(0, 0, 200, "test").roles == NEW).sum(axis=1)
    assert (periods.min(), periods.max()) == (28, 30)
    assert tasks.get("induction").variants() == {}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"vocabulary": 1}, "vocabulary must be at least 2"),
        ({"period": (0, 4)}, "period"),
        ({"period": (9, 4)}, "period"),
        ({"period": (8, 33)}, "vocabulary = 32"),
        ({"period": [8]}, "a list of 2 values"),
        ({"length": 47}, "at least 48"),
        ({"test_period": (20, 40)}, "test_period"),
        ({"test_period": (30, 32), "length": 60}, "at least 64"),
        ({"vocabulary": True}, "whole number"),
    ],
)
def test_bad_settings_are_rejected_by_name(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("induction", **wrong)
