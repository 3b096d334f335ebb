import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import tasks
from tasks import Task, TaskError
from tasks.bigram import COPY, FIRST, GLOBAL
from tests.helpers.enumeration import assert_joints_are_exact

TASK = tasks.get("bigram")
SMALL = tasks.get("bigram", vocabulary=4, triggers=1, trigger_rate=0.3, alpha=0.5, length=6)


@given(st.tuples(st.integers(3, 12), st.integers(1, 10), st.floats(0.05, 0.8)), st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_a_trigger_has_one_follower_in_a_sequence(sizes: tuple[int, int, float], seed: int) -> None:
    vocabulary, triggers, rate = sizes
    task = tasks.get(
        "bigram", vocabulary=max(vocabulary, triggers + 2), triggers=triggers, trigger_rate=rate, alpha=1.0, length=40
    )
    batch = task.draw(np.random.default_rng(seed), 8, "train")
    for tokens, roles in zip(batch.tokens.tolist(), batch.roles.tolist(), strict=True):
        follower: dict[int, int] = {}
        for before, after, role in zip(tokens, tokens[1:], roles[1:], strict=False):
            if before >= triggers:
                assert role == GLOBAL
            elif before in follower:
                assert (role, after) == (COPY, follower[before])
            else:
                assert role == FIRST
                assert after >= triggers
                follower[before] = after
        assert roles[0] == GLOBAL


def test_followers_are_uniform_over_the_other_tokens() -> None:
    batch = TASK.batch(0, 0, 4000)
    for role in (FIRST, COPY):
        here = batch.roles == role
        assert batch.tokens[here].min() >= 4
        for token in range(4, 32):  # sequences are independent, positions of a sequence are not
            surplus = np.where(here, (batch.tokens == token) - 1 / 28, 0).sum(axis=1)
            assert abs(surplus.sum()) < 4 * surplus.std() * math.sqrt(len(surplus)), (role, token)


def test_other_tokens_are_followed_by_the_global_chain() -> None:
    batch = tasks.get("bigram", vocabulary=8, triggers=2, alpha=1.0).batch(0, 0, 2000)
    chain = tasks.get("bigram", vocabulary=8, triggers=2, alpha=1.0).chain
    np.testing.assert_allclose(chain.sum(axis=1), 1)
    followed = batch.roles[:, 1:] == GLOBAL
    counts = np.zeros((8, 8))
    np.add.at(counts, (batch.tokens[:, :-1][followed], batch.tokens[:, 1:][followed]), 1)
    for before in range(2, 8):
        assert stats.chisquare(counts[before], counts[before].sum() * chain[before]).pvalue > 1e-4


def test_the_chain_depends_on_settings_alone() -> None:
    again = tasks.get("bigram", length=80)
    np.testing.assert_array_equal(TASK.chain, again.chain)
    assert not np.allclose(tasks.get("bigram", alpha=0.2).chain, TASK.chain)
    with pytest.raises(ValueError, match="read-only"):
        TASK.chain[0, 0] = 1


def test_the_global_floor_is_the_entropy_rate_by_eigenvector() -> None:
    values, vectors = np.linalg.eig(TASK.chain.T)
    leading = np.real(vectors[:, np.argmax(np.real(values))])
    weights = leading[4:] / leading[4:].sum()
    rate = sum(weight * stats.entropy(row) for weight, row in zip(weights, TASK.chain[4:], strict=True))
    assert TASK.floor("global") == pytest.approx(rate, abs=1e-12)
    assert TASK.floor("first") == pytest.approx(math.log(28))
    assert TASK.floor("copy") == 0
    assert TASK.floor("-") is None


@pytest.mark.parametrize("task", [TASK, SMALL], ids=["default", "small"])
def test_floors_and_chances_agree_with_a_monte_carlo_estimate(task: Task) -> None:
    # With few instances, the distribution of a split differs from the task's.
    batch = task.draw(np.random.default_rng(0), 20_000, "train")
    tokens, roles = batch.tokens[:, 1:], batch.roles[:, 1:]
    losses = task.optimum(batch.tokens)[:, 1:]
    for number, role in enumerate(task.roles[1:], start=1):
        here = roles == number
        assert_ratio(losses, here, task.floor(role))
        best = np.bincount(tokens[here], minlength=task.vocab_size)
        if role == "global":
            assert_ratio((tokens == best.argmax()).astype(float), here, task.chance(role))
        else:
            assert best.max() / best.sum() == pytest.approx(task.chance(role), rel=0.1)


def assert_ratio(values: np.ndarray, here: np.ndarray, expected: float | None) -> None:
    """Assert the mean of values over positions, with the error over sequences, since positions are not independent."""
    mean = values[here].mean()
    residual = np.where(here, values - mean, 0).sum(axis=1)
    error = residual.std() * math.sqrt(len(values)) / here.sum()
    assert mean == pytest.approx(expected, abs=3 * error + 1e-12)


def distribution_of_sequences(task: Task) -> dict[tuple[int, ...], float]:
    """Enumerate all followers and sequences of `SMALL`; return the probability of each sequence."""
    chain, others = task.chain, range(1, 4)
    start = np.linalg.matrix_power(chain, 200)[0]
    distribution: dict[tuple[int, ...], float] = defaultdict(float)
    for follower in others:
        for sequence in itertools.product(range(4), repeat=task.length):
            chance = start[sequence[0]] / 3
            for before, after in itertools.pairwise(sequence):
                chance *= float(after == follower) if before == 0 else chain[before, after]
            if chance:
                distribution[sequence] += chance
    return distribution


def chances_of_prefixes(distribution: dict[tuple[int, ...], float]) -> dict[tuple[int, ...], float]:
    """Return the probability of each prefix of the sequences."""
    prefixes: dict[tuple[int, ...], float] = defaultdict(float)
    for sequence, chance in distribution.items():
        for end in range(len(sequence) + 1):
            prefixes[sequence[:end]] += chance
    return prefixes


def test_the_optimum_and_the_floors_are_exact_by_enumeration() -> None:
    distribution = distribution_of_sequences(SMALL)
    assert sum(distribution.values()) == pytest.approx(1)
    prefixes = chances_of_prefixes(distribution)
    sequences = np.array(list(distribution))
    exact = np.array(
        [
            [-math.log(prefixes[sequence[: t + 1]] / prefixes[sequence[:t]]) for t in range(len(sequence))]
            for sequence in distribution
        ]
    )
    np.testing.assert_allclose(SMALL.optimum(sequences), exact, atol=1e-9)
    roles = np.concatenate([SMALL.parse(" ".join(map(str, sequence))).roles for sequence in distribution])
    weight = np.array(list(distribution.values()))[:, None]
    for number, role in enumerate(SMALL.roles[1:], start=1):
        here = (roles == number)[:, 1:] * weight
        assert (here * exact[:, 1:]).sum() / here.sum() == pytest.approx(SMALL.floor(role), abs=1e-9)
        shares = [(here * (sequences[:, 1:] == token)).sum() / here.sum() for token in range(4)]
        assert max(shares) == pytest.approx(SMALL.chance(role), abs=1e-9)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 2 3 0 3 1", "token 4 must be 2, as after trigger 0 before, not 3"),
        ("0 0 0 0 0 0", "token 1 cannot be 0 after 0"),
    ],
)
def test_lines_with_two_followers_of_a_trigger_are_rejected(line: str, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        SMALL.parse(line)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"vocabulary": 2}, "vocabulary must be between 3 and 512"),
        ({"vocabulary": 513}, "between 3 and 512"),
        ({"triggers": 0}, "triggers must be between 1 and vocabulary - 2 = 30"),
        ({"triggers": 31}, "= 30, not 31"),
        ({"trigger_rate": 0.0}, "trigger_rate must be between 0 and 1"),
        ({"trigger_rate": 1.0}, "trigger_rate"),
        ({"alpha": 0.0}, "alpha must be between 0.001 and 1e9, not 0.0"),
        ({"alpha": 1e308}, r"alpha must be between 0.001 and 1e9, not 1e\+308"),
        ({"length": 3}, "length must be at least 4"),
    ],
)
def test_bad_settings_are_rejected_by_name(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("bigram", **wrong)


def test_joints_and_latents_are_exact_by_enumeration() -> None:
    distribution = distribution_of_sequences(SMALL)
    sequences = np.array(list(distribution))
    assert_joints_are_exact(SMALL, sequences, np.array(list(distribution.values())), range(SMALL.length - 2))
    prefixes = chances_of_prefixes(distribution)
    latents = SMALL.latents(SMALL.label(sequences))
    for number, sequence in enumerate(distribution):
        for t in range(SMALL.length - 1):
            exact_V = np.array([prefixes[*sequence[: t + 1], x] / prefixes[sequence[: t + 1]] for x in range(4)])
            np.testing.assert_allclose(latents["next token"][number, t], exact_V, atol=1e-12)
            largest = np.flatnonzero(exact_V > exact_V.max() - 1e-9)
            assert latents["likeliest next token"][number, t] == (largest[0] if len(largest) == 1 else -1)
            seen_followers = [after for before, after in itertools.pairwise(sequence[: t + 1]) if before == 0]
            assert latents["follower"][number, t] == (seen_followers[0] if seen_followers and sequence[t] == 0 else -1)


@pytest.mark.parametrize("task", [TASK, SMALL], ids=["default", "small"])
def test_a_contrast_replaces_a_repeated_follower(task: Task) -> None:
    batch = task.batch(0, 0, 256)
    contrast = task.contrast(batch)
    copies = (batch.roles == task.role("copy")).any(axis=1)
    assert set(contrast.sequence) <= set(np.flatnonzero(copies))
    assert len(contrast.sequence) > 0.9 * copies.sum() or task is SMALL
    for number, row in enumerate(contrast.sequence.tolist()):
        old, new = batch.tokens[row], contrast.tokens[number]
        trigger = old[contrast.changed[number] - 1]
        followers = 1 + np.flatnonzero(old[:-1] == trigger)
        assert [contrast.changed[number], contrast.answer[number]] == followers[:2].tolist()
        np.testing.assert_array_equal(np.flatnonzero(old != new), followers)
        after = followers[followers + 1 < task.length] + 1
        best = [
            np.prod(task.chain[token, old[after]]) if token != old[followers[0]] else 0
            for token in range(task.triggers, task.vocabulary)
        ]
        assert np.prod(task.chain[new[followers[0]], old[after]]) == pytest.approx(max(best))
