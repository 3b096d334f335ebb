from fractions import Fraction

import numpy as np
import pytest

import tasks
from tasks import SPLITS, Task, TaskError

OPERATIONS = ["+", "-", "*", "/", "x2+y2", "x3+xy"]


def right(operation: str, a: int, b: int, p: int) -> int:
    """By brute force: of a / b, the one number that times b gives a."""
    if operation == "/":
        return next(c for c in range(p) if c * b % p == a)
    plain = {"+": a + b, "-": a - b, "*": a * b, "x2+y2": a**2 + b**2, "x3+xy": a**3 + a * b}
    return plain[operation] % p


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("p", [3, 11, 97])
def test_answers_are_right(operation: str, p: int) -> None:
    task = tasks.get("modular", p=p, operation=operation)
    batch = task.batch(0, 0, 200)
    for a, sign, b, equals, answer in batch.tokens.tolist():
        assert (sign, equals) == (p, p + 1)
        assert answer == right(operation, a, b, p)


@pytest.mark.parametrize("operation", ["+", "/"])
def test_the_pairs_are_divided_exactly(operation: str) -> None:
    task = tasks.get("modular", p=7, operation=operation, train_share=0.6)
    seen: dict[str, set[tuple[int, int]]] = {}
    for split in SPLITS:
        batches = [task.batch(0, index, 200, split).tokens for index in range(4)]
        seen[split] = {(a, b) for a, _, b, _, _ in np.concatenate(batches).tolist()}
    every = 42 if operation == "/" else 49
    assert len(seen["train"]) == round(Fraction(6, 10) * every)
    assert sum(map(len, seen.values())) == len(set.union(*seen.values())) == every


def test_lines_are_read_back_and_wrong_answers_are_told_the_right_one() -> None:
    task = tasks.get("modular", p=11, operation="*")
    batch = task.batch(0, 0, 20)
    for row in range(20):
        line = task.format(batch.row(row))
        again = task.parse(line)
        assert task.format(again) == line
        for field in ("tokens", "roles", "scored", "answer"):
            np.testing.assert_array_equal(getattr(again, field), getattr(batch.row(row), field))
    with pytest.raises(TaskError, match="must be 1, not 5"):
        task.parse("3 * 4 = 5")


@pytest.mark.parametrize("line", ["", "3 + 4 = 7", "3 * 4 =", "3 * 40 = 5", "a * 4 = 5", "3 * 4 : 1"])
def test_malformed_lines_are_refused(line: str) -> None:
    with pytest.raises(TaskError):
        tasks.get("modular", p=11, operation="*").parse(line)


def test_division_by_nought_has_no_answer() -> None:
    task: Task = tasks.get("modular", p=11, operation="/")
    with pytest.raises(TaskError, match="is not"):
        task.solve(np.array([3, 11, 0, 12]))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"p": 91}, "a prime"),
        ({"p": 2}, "a prime"),
        ({"p": 2003}, "between 3 and 1009"),
        ({"operation": "^"}, "operation must be one of"),
        ({"train_share": 1.0}, "train_share"),
        ({"p": 3, "train_share": 0.99}, "too few to divide"),
    ],
)
def test_bad_settings_are_refused_by_name(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("modular", **wrong)
