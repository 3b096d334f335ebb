"""Countdown agrees with a search for one derivation at a time, in exact fractions."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

import tasks
from tasks import TaskError
from tasks.countdown import Countdown
from tasks.countdown.derivations import derive
from tests.helpers.enumeration import assert_joints_are_exact

SMALL = Countdown(largest=4, limit=9)
TWO = Countdown(numbers=2, largest=12, limit=12)
FOUR = Countdown(numbers=4, largest=9, limit=60)
EXHAUSTED = pytest.mark.parametrize("task", [SMALL, TWO], ids=["three numbers", "two numbers"])
EACH = pytest.mark.parametrize("task", [SMALL, TWO, FOUR], ids=["three numbers", "two numbers", "four numbers"])


def search(numbers: list[int], limit: int, equations: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield every derivation, as words; each pair of the remaining numbers is a choice, whether they are equal or not."""
    if len(numbers) == 1:
        yield (str(numbers[0]), *equations)
    for i, j in itertools.combinations(range(len(numbers)), 2):
        rest = [number for index, number in enumerate(numbers) if index not in (i, j)]
        b, a = sorted((numbers[i], numbers[j]))
        for operator, result in (("+", a + b), ("-", a - b), ("*", a * b), ("/", Fraction(a, b))):
            if result == int(result) and 1 <= result <= limit:
                words = (*equations, str(a), operator, str(b), "=", str(result))
                yield from search([*rest, int(result)], limit, words)


def every_sequence(task: Countdown) -> tuple[np.ndarray, np.ndarray]:
    """Enumerate all sequences of a task, with their probabilities."""
    chances: Counter[str] = Counter()
    for numbers in itertools.product(range(1, task.largest + 1), repeat=task.numbers):
        found = list(search(list(numbers), task.limit))
        for words in found:
            chances[" ".join([*map(str, numbers), *words])] += 1 / len(found) / task.largest**task.numbers
    return np.array([task.encode(line) for line in chances]), np.array(list(chances.values()))


@EACH
def test_derivations_agree_with_the_search(task: Countdown) -> None:
    numbers = np.random.default_rng(0).integers(1, task.largest + 1, size=(12, task.numbers))
    for row, equations in zip(numbers.tolist(), derive(numbers, task.limit), strict=True):
        found = Counter(tuple(map(task.word, each)) for each in equations.tolist() if each[-1] > 0)
        assert found == Counter(words[1:] for words in search(row, task.limit))


@EXHAUSTED
def test_distributions_and_floors_agree_with_the_search(task: Countdown) -> None:
    sequences, chances = every_sequence(task)
    assert chances.sum() == pytest.approx(1)
    assert_joints_are_exact(task, sequences, chances, range(task.length - 2))
    roles, optimum = task.label(sequences).roles, task.optimum(sequences)
    np.testing.assert_allclose(optimum.sum(axis=1), -np.log(chances), atol=1e-9)
    for role in task.roles[1:]:
        weight = chances[:, None] * (roles[:, 1:] == task.role(role))
        assert (weight * optimum[:, 1:]).sum() / weight.sum() == pytest.approx(task.floor(role), abs=1e-9), role
        shares = [(weight * (sequences[:, 1:] == token)).sum() / weight.sum() for token in range(task.vocab_size)]
        assert max(shares) == pytest.approx(task.chance(role), abs=1e-9), role
    instances = {(*sorted(row[: task.numbers]), row[task.numbers]) for row in sequences.tolist()}
    assert task.instance_count() == (len(instances), "exact")
    every = task.every_instance()
    assert every is not None
    assert {tuple(row) for row in every.tolist()} == instances
    assert {tuple(row) for row in task.instances(sequences).tolist()} == instances


def test_sequences_are_drawn_with_their_probability() -> None:
    sequences, chances = every_sequence(SMALL)
    size = 60_000
    drawn = Counter(map(tuple, SMALL.draw(np.random.default_rng(0), size, "train").tokens.tolist()))
    found = np.array([drawn[tuple(row)] for row in sequences.tolist()])
    assert found.sum() == size
    assert stats.chisquare(found, chances * size).pvalue > 1e-3


@EACH
def test_latents_follow_from_the_remaining_derivations(task: Countdown) -> None:
    batch = task.batch(0, 0, 20)
    latents = task.latents(batch)
    for row, tokens in enumerate(batch.tokens.tolist()):
        words = [task.word(token) for token in tokens]
        found = list(search(tokens[: task.numbers], task.limit))
        for position in range(task.length):
            so_far = words[task.numbers : position + 1]
            left = [each for each in found if list(each[: len(so_far)]) == so_far]
            equation = min((len(so_far) - 1) // 5, task.numbers - 2)
            results = {each[5 * (equation + 1)] for each in left}
            known = position >= task.numbers
            assert latents["derivations"][row, position] == (len(left) if known else -1)
            expected = int(results.pop()) if known and len(results) == 1 else -1
            assert latents["next result"][row, position] == expected


@EACH
def test_a_contrast_rules_out_the_original_answer(task: Countdown) -> None:
    batch = task.batch(0, 0, 60)
    contrast = task.contrast(batch)
    assert len(contrast.sequence)
    for original, tokens, answer in zip(batch.tokens[contrast.sequence], contrast.tokens, contrast.answer, strict=True):
        kept = np.concatenate([tokens[:answer], original[answer : answer + 1]])
        with np.errstate(divide="ignore"):
            assert task.optimum(np.pad(kept, (0, task.length - len(kept)))[None])[0, answer] == math.inf


def judge_line(task: Countdown, line: str) -> tuple[float, float]:
    found = task.judge(task.encode(line)[None])
    return found["valid"], found["legal"]


@pytest.mark.parametrize(
    ("answer", "valid", "legal"),
    [
        ("8 * 3 = 24 24 - 5 = 19", 1, 1),
        ("3 * 8 = 24 24 - 5 = 19", 1, 1),
        ("8 + 3 = 11 11 + 5 = 16", 0, 1),
        ("8 * 3 = 25 24 - 5 = 19", 0, 0),
        ("8 * 3 = 24 24 - 4 = 20", 0, 0),
        ("8 * 8 = 64 24 - 5 = 19", 0, 0),
        ("3 - 8 = 5 5 + 5 = 10", 0, 0),
        ("8 / 3 = 2 5 + 2 = 7", 0, 0),
        ("8 * 3 = 24 5 - 24 = 19", 0, 0),
        ("8 * 3 = 24 24 5 - = 19", 0, 0),
        ("8 * 3 + 24 24 - 5 = 19", 0, 0),
        ("8 = 3 = 11 11 + 5 = 16", 0, 0),
        ("8 4 3 = 11 11 + 5 = 16", 0, 0),
        ("8 + 8 = 16 16 + 3 = 19", 0, 0),
        ("= = = = = = = = = =", 0, 0),
        ("24 - 5 = 19 8 * 3 = 24", 0, 0),
        ("5 - 3 = 2 8 - 2 = 6", 0, 1),
    ],
)
def test_answers_are_judged_by_their_equations(answer: str, valid: int, legal: int) -> None:
    task = Countdown(largest=8, limit=64)
    assert judge_line(task, f"3 8 5 19 {answer}") == (valid, legal)


def test_answers_of_the_data_are_valid() -> None:
    task = Countdown()
    tokens = task.batch(0, 0, 200).tokens
    assert task.judge(tokens) == {"valid": 1, "legal": 1}
    tokens[:50, task.numbers] = tokens[:50, task.numbers] % task.limit + 1
    assert task.judge(tokens) == {"valid": 0.75, "legal": 1}


def test_any_order_of_the_numbers_is_the_same_instance() -> None:
    task = Countdown(largest=8, limit=64)
    one, other = (task.encode(f"{given} 19 8 * 3 = 24 24 - 5 = 19")[None] for given in ("3 8 5", "5 3 8"))
    np.testing.assert_array_equal(task.instances(one), task.instances(other))
    assert task.label(one).roles.tolist() == [[1, 1, 1, 2, 4, 5, 4, 3, 6, 7, 8, 7, 3, 9]]


def test_with_four_numbers_distributions_replace_floors() -> None:
    task = Countdown(numbers=4, largest=20, limit=100)
    floors = {role: task.floor(role) for role in ("number", "target", "operand_1", "equals", "result_3")}
    assert floors == {"number": math.log(20), "target": None, "operand_1": None, "equals": 0, "result_3": 0}
    assert task.instance_count() is None
    batch = task.draw(np.random.default_rng(0), 8, "train")
    assert np.isfinite(task.optimum(batch.tokens)).all()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("3 9 5 19 8 * 3 = 24 24 - 5 = 19", "a prompt is 3 numbers from 1 to 8, and then the target"),
        ("3 8 5 19 3 * 8 = 24 24 - 5 = 19", "3 . 8 = 24 24 - 5 = 19 is no derivation.* of 19 from 3 8 5"),
        ("3 8 5 20 8 * 3 = 24 24 - 5 = 19", "is no derivation, with the larger operand first and numbers up to 64, of 20"),
    ],
)
def test_invalid_derivations_are_rejected(line: str, message: str) -> None:
    task = Countdown(largest=8, limit=64)
    with pytest.raises(TaskError, match=message):
        task.label(task.encode(line)[None])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"numbers": 1}, "numbers must be between 2 and 4"),
        ({"numbers": 5}, "numbers must be between 2 and 4"),
        ({"largest": 1}, "largest must be at least 2"),
        ({"largest": 40, "limit": 39}, "limit must be between 40, the largest given number, and 1000"),
        ({"limit": 1001}, "limit must be between .*, the largest given number, and 1000"),
    ],
)
def test_bad_settings_are_rejected_by_name(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("countdown", **wrong)
