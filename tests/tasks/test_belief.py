import dataclasses
import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
from scipy import stats

import tasks
from tasks import TaskError
from tests.helpers.enumeration import assert_joints_are_exact

MESS3 = tasks.get("belief", move=0.15, own=0.6, length=8)
RRXOR = tasks.get("belief", process="rrxor", length=13)
BOTH = pytest.mark.parametrize("task", [MESS3, RRXOR], ids=["mess3", "rrxor"])

Sequence = tuple[int, ...]
Hidden = dict[Sequence, np.ndarray]
"""Joint probabilities of a sequence and the hidden state at its end, by sequence."""


def enumerate_mess3(length: int) -> Hidden:
    """Enumerate sequences step by step with the matrices of Shai et al., x = 0.15 and a = 0.6."""
    a, b, x, y = 0.6, 0.2, 0.15, 0.7
    matrices = [
        [[a * y, b * x, b * x], [a * x, b * y, b * x], [a * x, b * x, b * y]],
        [[b * y, a * x, b * x], [b * x, a * y, b * x], [b * x, a * x, b * y]],
        [[b * y, b * x, a * x], [b * x, b * y, a * x], [b * x, b * x, a * y]],
    ]
    found: Hidden = {(): np.full(3, 1 / 3)}
    for _ in range(length):
        longer: Hidden = defaultdict(lambda: np.zeros(3))
        for (sequence, chances), token, (state, to) in itertools.product(
            found.items(), range(3), itertools.product(range(3), repeat=2)
        ):
            longer[*sequence, token][to] += chances[state] * matrices[token][state][to]
        found = dict(longer)
    return found


def enumerate_rrxor(length: int) -> Hidden:
    """Enumerate sequences as pieces of streams of cycles (bit, bit, exclusive or), from any phase on."""
    cycles = math.ceil((length + 2) / 3)
    found: Hidden = defaultdict(lambda: np.zeros(5))
    for bits in itertools.product(range(2), repeat=2 * cycles):
        stream = [token for one, other in zip(bits[::2], bits[1::2], strict=True) for token in (one, other, one ^ other)]
        for offset in range(3):
            end = offset + length
            state = [0, 1 + stream[end - 1], 3 + (stream[end - 1] ^ stream[end - 2])][end % 3]
            found[tuple(stream[offset:end])][state] += 1 / 3 / 2 ** len(bits)
    return found


def enumerate_task(task: tasks.Task, length: int) -> Hidden:
    return enumerate_mess3(length) if task is MESS3 else enumerate_rrxor(length)


@BOTH
def test_optimum_and_belief_agree_with_enumeration(task: tasks.Task) -> None:
    every = [enumerate_task(task, length) for length in range(7)]
    sequences = np.array(list(every[6]))
    assert sum(chances.sum() for chances in every[6].values()) == pytest.approx(1)
    optimum = task.optimum(sequences)
    latents = task.latents(task.rows(sequences, np.ones_like(sequences)))
    for number, sequence in enumerate(every[6]):
        for t in range(6):
            here, before = every[t + 1][sequence[: t + 1]], every[t][sequence[:t]].sum()
            assert optimum[number, t] == pytest.approx(-math.log(here.sum() / before), abs=1e-9)
            np.testing.assert_allclose(latents["belief"][number, t], here / here.sum(), atol=1e-12)
            largest = np.flatnonzero(here > here.max() - 1e-9)
            assert latents["likeliest state"][number, t] == (largest[0] if len(largest) == 1 else -1)


@BOTH
def test_joints_and_floors_agree_with_enumeration(task: tasks.Task) -> None:
    distribution = {sequence: chances.sum() for sequence, chances in enumerate_task(task, task.length).items()}
    sequences, chances = np.array(list(distribution)), np.array(list(distribution.values()))
    assert_joints_are_exact(task, sequences, chances, range(task.length - 2))
    roles, optimum = task.label(sequences).roles, task.optimum(sequences)
    for role in task.roles[1:]:
        weight = chances[:, None] * (roles[:, 1:] == task.role(role))
        assert (weight * optimum[:, 1:]).sum() / weight.sum() == pytest.approx(task.floor(role), abs=1e-9)
        shares = [(weight * (sequences[:, 1:] == token)).sum() / weight.sum() for token in range(task.vocab_size)]
        assert max(shares) == pytest.approx(task.chance(role), abs=1e-9)


@pytest.mark.parametrize(("task", "length"), [(MESS3, 6), (RRXOR, 12)], ids=["mess3", "rrxor"])
def test_too_few_different_sequences_are_rejected(task: tasks.Task, length: int) -> None:
    equal = sum(chances.sum() ** 2 for chances in enumerate_task(task, length).values())
    with pytest.raises(TaskError, match=rf"length must be larger.* \(1 / {1 / equal:.0f} here\)"):
        dataclasses.replace(task, length=length)


@BOTH
def test_sequences_follow_their_likelihood(task: tasks.Task) -> None:
    every = enumerate_task(task, 6)
    drawn = task.draw(np.random.default_rng(0), 40_000, "train").tokens
    for begin in (0, task.length - 6):
        sequences, counts = np.unique(drawn[:, begin : begin + 6], axis=0, return_counts=True)
        found = dict(zip(map(tuple, sequences.tolist()), counts.tolist(), strict=True))
        assert set(found) <= set(every)
        likely = {sequence: chances.sum() * 40_000 for sequence, chances in every.items() if chances.sum() * 40_000 > 5}
        statistic = sum((found.get(sequence, 0) - expected) ** 2 / expected for sequence, expected in likely.items())
        assert stats.chi2.sf(statistic, len(likely)) > 1e-3


def test_roles_tell_whether_the_phase_is_known() -> None:
    for sequence in enumerate_rrxor(13):
        roles = [RRXOR.roles[role] for role in RRXOR.label(np.array([sequence])).roles[0]]
        for t, role in enumerate(roles):
            phases = {
                phase  # phase of the token at t
                for phase in range(3)
                if all(sequence[s] == sequence[s - 1] ^ sequence[s - 2] for s in range(2, t) if (s - t + phase) % 3 == 2)
            }
            assert role == (("first", "second", "xor")[phases.pop()] if len(phases) == 1 else "unsynchronised")


def test_known_phases_have_floors_in_closed_form() -> None:
    task = tasks.get("belief", process="rrxor")
    floors = [task.floor(role) for role in ("first", "second", "xor")]
    assert floors == pytest.approx([math.log(2), math.log(2), 0], abs=1e-12)
    assert tasks.get("belief").floor("token") is None


@BOTH
@pytest.mark.parametrize("own", ["uniform", "bigram", "bayes"])
def test_the_divergence_from_the_models_own_predictor_is_zero(task: tasks.Task, own: str) -> None:
    tokens = task.batch(0, 0, 64).tokens
    chances = np.full((*tokens.shape, task.vocab_size), 1 / task.vocab_size)
    if own == "bayes":
        for t in range(task.length - 1):
            chances[:, t] = task.next_distribution(tokens[:, : t + 1])
    elif own == "bigram":
        pairs = np.zeros((task.vocab_size, task.vocab_size))
        for sequence, states in enumerate_task(task, 2).items():
            pairs[sequence] = states.sum()
        chances = (pairs / pairs.sum(axis=1, keepdims=True))[tokens]
    distances = task.compare(tokens, np.log(np.maximum(chances, 1e-30)).astype(np.float32))
    assert distances[f"kl/{own}"] == pytest.approx(0, abs=1e-6)
    assert own == "bayes" or distances["kl/bayes"] > 0.001


def test_impossible_tokens_are_rejected() -> None:
    line = "1 0 1 1 0 1 1 0 0 0 1 0 1"
    assert RRXOR.format(RRXOR.parse(line)) == line
    with pytest.raises(TaskError, match="token 12 cannot be 0 after those before it"):
        RRXOR.parse(line[:-1] + "0")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"process": "mess4"}, "process must be one of mess3, rrxor"),
        ({"move": 0.0}, "move must be above 0 and below 0.5"),
        ({"move": 0.5}, "move must be above 0 and below 0.5"),
        ({"own": 1.0}, "own must be between 0 and 1"),
        ({"length": 2}, "length must be at least 3"),
        ({"length": 12}, "length must be larger"),
        ({"move": 1e-6, "own": 0.999}, "length must be larger"),
    ],
)
def test_bad_settings_are_rejected_by_name(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("belief", **wrong)
