from fractions import Fraction

import numpy as np
import pytest

import tasks
from tasks import SPLITS, Task, TaskError
from tasks.core.batch import join
from tests.helpers.lines import assert_read_back

OPERATIONS = ["+", "-", "*", "/", "x2+y2", "x3+xy"]


def right_answer(operation: str, a: int, b: int, p: int) -> int:
    """Compute the answer by brute force; a / b is the number whose product with b is a."""
    if operation == "/":
        return next(c for c in range(p) if c * b % p == a)
    plain = {"+": a + b, "-": a - b, "*": a * b, "x2+y2": a**2 + b**2, "x3+xy": a**3 + a * b}
    return plain[operation] % p


@pytest.mark.parametrize("operation", OPERATIONS)
def test_answers_are_right(operation: str) -> None:
    for p in (3, 97):
        for a, sign, b, equals, answer in tasks.get("modular", p=p, operation=operation).batch(0, 0, 200).tokens.tolist():
            assert (sign, equals) == (p, p + 1)
            assert answer == right_answer(operation, a, b, p)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_spelled_numbers_have_leading_zeros(operation: str) -> None:
    for p, digits in ((3, 1), (11, 2), (101, 3)):
        task = tasks.get("modular", p=p, operation=operation, spelled=True)
        assert task.vocab_size == 12
        for sequence in task.batch(0, 0, 100).tokens.tolist():
            left, answer = "".join("0123456789#="[token] for token in sequence).split("=")
            a, b = left.split("#")
            assert len(a) == len(b) == len(answer) == digits
            assert int(answer) == right_answer(operation, int(a), int(b), p)


@pytest.mark.parametrize("operation", ["+", "x2+y2"])
def test_spelling_keeps_the_split_of_a_pair(operation: str) -> None:
    plain, spelled = (tasks.get("modular", p=11, operation=operation, spelled=spelled) for spelled in (False, True))
    for split in SPLITS:
        rows = [
            {tuple(row) for row in task.instances(task.batch(0, 0, 2000, split).tokens).tolist()} for task in (plain, spelled)
        ]
        assert rows[0] == rows[1] == {divmod(pair, 11) for pair in plain.pairs(split).tolist()}


@pytest.mark.parametrize(("operation", "spelled"), [("+", False), ("/", False), ("x3+xy", True)])
def test_chance_is_that_of_the_best_constant_answer(operation: str, spelled: bool) -> None:
    p = 11
    pairs = [(a, b) for a in range(p) for b in range(operation == "/", p)]
    answers = [right_answer(operation, a, b, p) for a, b in pairs]
    columns = [[c // 10 for c in answers], [c % 10 for c in answers]] if spelled else [answers]
    best = [max(map(column.count, column)) / len(pairs) for column in columns]
    task = tasks.get("modular", p=p, operation=operation, spelled=spelled)
    assert task.chance("answer") == pytest.approx(np.mean(best))
    assert task.chance("operand") is None


def test_training_repeats_its_pairs_evenly() -> None:
    task = tasks.get("modular", p=7, train_share=0.4)
    epochs = 60
    tokens = np.concatenate([task.batch(0, index, len(task.pairs("train"))).tokens for index in range(epochs)])
    shown = np.bincount(tokens[:, 0] * 7 + tokens[:, 2], minlength=49)
    assert set(np.flatnonzero(shown)) == set(task.pairs("train").tolist())
    assert abs(shown[task.pairs("train")] - epochs).max() < 5 * np.sqrt(epochs)


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


@pytest.mark.parametrize("spelled", [False, True])
def test_lines_are_read_back_and_wrong_answers_rejected(spelled: bool) -> None:
    task = tasks.get("modular", p=11, operation="*", spelled=spelled)
    assert_read_back(task, task.batch(0, 0, 20))
    with pytest.raises(TaskError, match="must be 1, not 5"):
        task.parse("3 * 4 = 5")


@pytest.mark.parametrize("line", ["", "3 + 4 = 7", "3 * 4 =", "3 * 40 = 5", "a * 4 = 5", "3 * 4 : 1", "3 * 4 = 1 = 2"])
def test_malformed_lines_are_rejected(line: str) -> None:
    with pytest.raises(TaskError, match=r"is not a line like '3 \* 4 = 7', numbers below 11"):
        tasks.get("modular", p=11, operation="*").parse(line)


def test_division_by_zero_has_no_answer() -> None:
    task: Task = tasks.get("modular", p=11, operation="/")
    with pytest.raises(TaskError, match="b not 0"):
        task.solve(np.array([3, 11, 0, 12]))
    with pytest.raises(TaskError, match="divisor must be other than 0"):
        task.parse("3 / 0 = 0")


@pytest.mark.parametrize("prompt", [[], [0, 3, 10, 0, 4], [0, 3, 10, 0, 4, 10], [1, 1, 10, 0, 4, 11], [0, 10, 10, 0, 4, 11]])
def test_wrong_prompts_are_rejected(prompt: list[int]) -> None:
    task = tasks.get("modular", p=11, spelled=True)
    assert task.solve(np.array([0, 3, 10, 0, 9, 11])).tolist() == [0, 1]
    with pytest.raises(TaskError, match="numbers below 11"):
        task.solve(np.array(prompt, dtype=np.int64))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"p": 91}, "a prime"),
        ({"p": 2}, "a prime"),
        ({"p": 2003}, "between 3 and 1009"),
        ({"operation": "^"}, "operation must be one of"),
        ({"train_share": 1.0}, "train_share"),
        ({"spelled": 1}, "true or false"),
        (
            {"p": 3, "train_share": 0.99},
            r"modular\.train_share must be a share that gives each split .* pairs, here 9, not 0\.99",
        ),
    ],
)
def test_bad_settings_are_rejected_by_name(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("modular", **wrong)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("p", "spelled"), [(7, False), (97, False), (97, True)])
def test_a_contrast_changes_an_operand_and_the_answer(operation: str, p: int, spelled: bool) -> None:
    task = tasks.get("modular", p=p, operation=operation, spelled=spelled)
    batch = task.batch(0, 1, 20)
    contrast = task.contrast(batch)
    assert set(contrast.changed.tolist()) == {task.digits - 1, 2 * task.digits}
    for before, after in zip(batch.tokens[contrast.sequence], contrast.tokens, strict=True):
        np.testing.assert_array_equal(task.solve(after[: -task.digits]), after[-task.digits :])
        assert (before != after)[: -task.digits].sum() == 1


def test_no_operand_of_zero_times_zero_changes_the_answer() -> None:
    task = tasks.get("modular", p=7, operation="*")
    batch = join([task.parse(line) for line in ("0 * 0 = 0", "0 * 3 = 0", "3 * 0 = 0")])
    contrast = task.contrast(batch)
    np.testing.assert_array_equal(contrast.sequence, [1, 2])
    np.testing.assert_array_equal(contrast.changed, [0, 2])


@pytest.mark.parametrize("spelled", [False, True])
def test_latents_and_joints_are_those_of_the_numbers(spelled: bool) -> None:
    task = tasks.get("modular", p=97, operation="x3+xy", spelled=spelled)
    batch = task.batch(0, 0, 64)
    a, b = task.instances(batch.tokens).T
    latents, known = task.latents(batch), 2 * task.digits
    for name, number, begin in (("first operand", a, task.digits - 1), ("result", task.result(a, b), known)):
        assert (latents[name][:, :begin] == -1).all()
        assert (latents[name][:, begin:] == number[:, None]).all()
    assert task.joint(batch, known - 1) is None
    for position in range(known, task.length - 2):
        x, y = batch.tokens[:, position + 1 : position + 3].T
        joint = task.joint(batch, position)
        assert joint.sum() == 64
        assert (joint[np.arange(64), x, y] == 1).all()
