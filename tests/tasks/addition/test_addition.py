import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from tasks import TaskError
from tasks.core.splits import split_of
from tests.helpers.enumeration import assert_joints_are_exact
from tests.helpers.lines import assert_read_back

ORDERS = ("forward", "reversed")


def places_needed(first: str, second: str, place: int) -> int:
    """Return the least number of lower decimal places that determine the digit at a place, whatever the digits below."""
    digits = len(first)
    pairs = [(int(first[-1 - i]), int(second[-1 - i])) if i < digits else (0, 0) for i in range(place + 1)]
    for known in range(place):
        unknown = place - known
        low = sum((a + b) * 10**i for i, (a, b) in enumerate(pairs) if i >= unknown)
        if low // 10**place % 10 == (low + 2 * (10**unknown - 1)) // 10**place % 10:
            return known
    return place


@pytest.mark.parametrize("order", ORDERS)
@given(st.integers(0, 2**32), st.tuples(st.integers(1, 4), st.integers(0, 30)), st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_sums_and_carry_roles_agree_with_python(order: str, seed: int, digits: tuple[int, int], chains: int) -> None:
    low, more = digits
    task = tasks.get("addition", digits=(low, low + more), order=order, chains=chains)
    batch = task.draw(np.random.default_rng(seed), 10, "train")
    for number in range(10):
        words, roles = zip(*task.show(batch.row(number)), strict=True)
        question, _, stated = "".join(words[:-1]).partition("=")
        first, second = question.split("+")
        assert low <= len(first) == len(second) <= low + more
        assert words[-1] == "<end>"
        highest_first = stated if order == "forward" else stated[::-1]
        assert highest_first == str(int(first) + int(second)).zfill(len(first) + 1)
        needed = [min(places_needed(first, second, place), chains) for place in range(len(stated))]
        expected = [f"carry_{k}" for k in (needed if order == "reversed" else needed[::-1])]
        operand = ["operand"] * len(first)
        assert list(roles) == [*operand, "sign", *operand, "sign", *expected, "end"]
        begin, end = batch.answer[number]
        np.testing.assert_array_equal(task.solve(batch.tokens[number, :begin]), batch.tokens[number, begin:end])


def test_lengths_and_digits_are_uniform() -> None:
    task = tasks.get("addition", digits=(2, 4))
    batch = task.draw(np.random.default_rng(0), 12_000, "train")
    digits = (batch.tokens == 10).argmax(axis=1)
    assert abs(np.bincount(digits)[2:] - 4000).max() < 5 * math.sqrt(4000)
    counts = np.bincount(batch.tokens[batch.roles == task.role("operand")], minlength=10)
    assert abs(counts - counts.mean()).max() < 5 * math.sqrt(counts.mean())


@pytest.mark.parametrize("digits", [(3, 3), (2, 5)])
def test_floors_agree_with_a_monte_carlo_estimate(digits: tuple[int, int]) -> None:
    task = tasks.get("addition", digits=digits)
    low, high = digits
    batch = task.draw(np.random.default_rng(0), 10_000, "train")
    lengths = (batch.tokens == 10).argmax(axis=1)
    again = (task.draw(np.random.default_rng(1), 200_000, "train").tokens == 10).argmax(axis=1)
    ends = [(again == j).sum() / (again >= j).sum() for j in range(high + 1)]
    losses: dict[str, list[float]] = {"operand": [], "sign": []}
    for digits_now in lengths.tolist():
        for j in range(1, digits_now + 1):
            share = ends[j] if j == digits_now else 1 - ends[j]
            losses["sign" if j == digits_now else "operand"].append(-math.log(share) + math.log(10) * (j < digits_now))
        losses["operand"] += [math.log(10)] * digits_now
        losses["sign"].append(0.0)
    assert min(lengths) == low
    assert max(lengths) == high
    optimum = task.optimum(batch.tokens)[:, 1:]
    for role, values in losses.items():
        error = np.std(values) / math.sqrt(len(lengths)) + 2e-3 * (low < high)
        assert abs(task.floor(role) - np.mean(values)) < 3 * error + 1e-9, role
        assert abs(optimum[batch.roles[:, 1:] == task.role(role)].mean() - np.mean(values)) < 5e-3, role
    assert [task.floor(role) for role in ("carry_0", "carry_3", "end", "-")] == [0, 0, 0, None]


@pytest.mark.parametrize("order", ORDERS)
def test_lines_are_read_back_exactly(order: str) -> None:
    task = tasks.get("addition", digits=(1, 5), order=order)
    assert_read_back(task, task.batch(0, 0, 50))


@pytest.mark.parametrize(("order", "stated"), [("forward", "051"), ("reversed", "150")])
def test_a_line_is_an_ordinary_equation(order: str, stated: str) -> None:
    task = tasks.get("addition", digits=(1, 5), order=order)
    row = task.parse(" 12 + 39 = 51\n")
    assert task.format(row) == "12+39=51"
    assert "".join(word for word, _ in task.show(row)) == f"12+39={stated}<end>"
    assert task.format(task.parse("7+15=22")) == "07+15=22"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("12+39=50", r"12\+39 must be 51, written as 0 5 1, not 50"),
        ("12+39", "is not a sum like 12"),
        ("12-39=51", "is not a sum"),
        ("", "is not a sum"),
        ("1²+3=4", "is not a sum"),
        ("123456+1=123457", "digits of an operand must be between 1 and 5, not 6"),
    ],
)
def test_malformed_and_wrong_lines_are_rejected(line: str, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("addition", digits=(1, 5), order="forward").parse(line)


@pytest.mark.parametrize("prompt", [[], [1, 10, 2], [1, 2, 10, 3, 11], [1, 11, 2, 10], [12, 10, 1, 11]])
def test_prompts_that_are_no_sum_are_rejected(prompt: list[int]) -> None:
    with pytest.raises(TaskError, match="a prompt is a number"):
        tasks.get("addition").solve(np.array(prompt, dtype=np.int64))


def test_order_zeros_and_length_do_not_change_an_instance() -> None:
    versions = [
        tasks.get("addition", digits=digits, order=order) for digits, order in product([(1, 5), (3, 3), (1, 40)], ORDERS)
    ]
    lines = ("123+045=168", "045+123=168")
    codes = np.concatenate([version.instances(version.parse(line).tokens) for version in versions for line in lines])
    padded = versions[0].instances(versions[0].parse("00123+00045=168").tokens)
    assert len(np.unique(np.concatenate([codes, padded]), axis=0)) == 1
    assert len(np.unique(split_of(codes))) == 1


def test_every_pair_of_small_numbers_is_another_instance() -> None:
    task = tasks.get("addition", digits=(2, 2))
    sequences = [task.parse(f"{a:02}+{b:02}={a + b}").tokens for a in range(0, 100, 3) for b in range(a, 100, 3)]
    assert len(np.unique(task.instances(np.concatenate(sequences)), axis=0)) == len(sequences)


def test_variants_are_longer_numbers() -> None:
    task = tasks.get("addition", test_digits=(6, 8))
    assert list(task.variants()) == ["d6", "d7", "d8"]
    longest = task.variants()["d8"]
    batch = longest.batch(0, 0, 20, "test")
    assert ((batch.tokens == 10).argmax(axis=1) == 8).all()
    assert longest.roles == task.roles
    assert tasks.get("addition", test_digits=None).variants() == {}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"digits": (0, 3)}, "1 <= low <= high <= 100"),
        ({"digits": (4, 3)}, "digits"),
        ({"test_digits": (6, 101)}, "test_digits"),
        ({"chains": 0}, "chains must be between 1 and 100"),
        ({"order": "backward"}, "one of forward, reversed"),
    ],
)
def test_bad_settings_are_rejected_by_name(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("addition", **wrong)


@pytest.mark.parametrize("order", ORDERS)
def test_latents_agree_with_carries_in_python(order: str) -> None:
    task = tasks.get("addition", digits=(1, 4), order=order)
    batch = task.batch(0, 0, 128)
    latents = task.latents(batch)
    for number in range(128):
        question = "".join(word for word, role in task.show(batch.row(number)) if role in ("operand", "sign"))
        first, second = question.removesuffix("=").split("+")
        digits, begin = len(first), batch.answer[number, 0]
        expected = {name: [-1] * task.length for name in latents}
        for written in range(digits + 1):
            place = written if order == "reversed" else digits - written
            below = sum(int(each) % 10**place for each in (first, second))
            carry = below // 10**place
            expected["carry"][begin + written - 1] = carry
            expected["carry after"][begin + written - 2] = carry
            expected["column sum"][begin + written - 1] = sum(int(each) // 10**place % 10 for each in (first, second))
        assert {name: values[number].tolist() for name, values in latents.items()} == expected


@pytest.mark.parametrize("order", ORDERS)
def test_a_contrast_changes_one_digit_of_an_operand(order: str) -> None:
    task = tasks.get("addition", digits=(1, 4), order=order)
    batch = task.batch(0, 0, 256)
    contrast = task.contrast(batch)
    np.testing.assert_array_equal(contrast.sequence, np.arange(256))
    for before, after, (begin, _), at in zip(batch.tokens, contrast.tokens, batch.answer, contrast.answer, strict=True):
        assert (before != after)[:begin].sum() == 1
        np.testing.assert_array_equal(task.solve(after[:begin]), after[begin : begin + begin // 2])
        assert at == begin + (before != after)[begin:].argmax()
    for digits in range(1, 5):
        here = batch.answer[:, 0] == 2 * digits + 2
        assert set(contrast.changed[here]) == set(range(2 * digits + 1)) - {digits}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("digits", [(1, 1), (1, 2)])
def test_joints_agree_with_enumeration_of_every_sum(order: str, digits: tuple[int, int]) -> None:
    task = tasks.get("addition", digits=digits, order=order, test_digits=None)
    low, high = digits
    ids = {task.word(token): token for token in range(task.vocab_size)}
    padding = task.parse("0+0=0").tokens[0, -1]
    sequences, chances = [], []
    for count in range(low, high + 1):
        numbers = ["".join(map(str, each)) for each in product(range(10), repeat=count)]
        for first, second in product(numbers, repeat=2):
            stated = f"{int(first) + int(second):0{count + 1}}"
            words = [*first, "+", *second, "=", *(stated if order == "forward" else stated[::-1]), "<end>"]
            sequences.append([*(ids[word] for word in words), *[padding] * (task.length - len(words))])
            chances.append(100.0**-count / (high + 1 - low))
    assert_joints_are_exact(task, np.array(sequences), np.array(chances), range(task.length - 2))


def test_digits_are_consistent_with_the_operands_alone() -> None:
    task = tasks.get("addition", digits=(1, 2), test_digits=None)
    tokens = np.concatenate([task.parse(line).tokens for line in ("28+75=103", "8+5=13")])
    tokens[0, 6], tokens[1, 5], tokens[1, 8:] = 0, 9, 3
    found = task.consistent(tokens)
    assert np.argwhere(~found).tolist() == [[0, 6], [1, 5]]
