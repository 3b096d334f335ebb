import math
from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sympy import Poly, symbols

import tasks
from tasks import Task, TaskError
from tasks.core.splits import split_of
from tasks.polynomial.expressions import BINARY, LEAF, draw_trees
from tests.helpers.lines import assert_read_back

X = symbols("X")
SMALL = {"p": 3, "k": 2, "operations": (1, 3), "test_operations": (1, 4)}


def by_sympy(words: list[str], p: int, k: int) -> Poly:
    """Compute the value of an expression in prefix notation, and remove its words from the list."""
    word = words.pop(0)
    if word not in ("neg", "+", "*", "o"):
        return Poly([int(c) for c in reversed(word.split(","))], X, modulus=p)
    first = by_sympy(words, p, k)
    if word == "neg":
        return -first
    second = by_sympy(words, p, k)
    value = {"+": first.add, "*": first.mul, "o": first.compose}[word](second)
    return value.rem(Poly(X**k, X, modulus=p))


def coefficients(value: Poly, p: int, k: int) -> list[int]:
    low_first = [int(c) % p for c in reversed(value.all_coeffs())]
    return low_first + [0] * (k - len(low_first))


def check_against_sympy(p: int, k: int, m: int, size: int, index: int = 0) -> None:
    task = tasks.get("polynomial", p=p, k=k, operations=(m, m))
    batch = task.batch(0, index, size, "test")
    for row in range(size):
        text, answer = task.format(batch.row(row)).split(" = ")
        words = text.split()
        assert sum(word in ("neg", "+", "*", "o") for word in words) == m
        assert coefficients(by_sympy(words, p, k), p, k) == [int(c) for c in answer.split(",")], text
        assert not words, "words remain after the expression"


@pytest.mark.parametrize("m", range(1, 11))
def test_answers_agree_with_sympy(m: int) -> None:
    check_against_sympy(7, 5, m, size=24)


@pytest.mark.slow
@pytest.mark.parametrize("m", range(1, 11))
@pytest.mark.parametrize(("p", "k"), [(7, 5), (2, 3), (11, 1), (3, 2)])
def test_hundreds_of_answers_in_every_ring_agree_with_sympy(p: int, k: int, m: int) -> None:
    check_against_sympy(p, k, m, size=300, index=1)


def test_composition_depends_on_the_representative() -> None:
    outer, moved = Poly(1 + X, X, modulus=3), Poly(1 + X + X**2, X, modulus=3)  # the same element of F_3[X]/(X^2)
    modulus = Poly(X**2, X, modulus=3)
    for inner, same in ((Poly(2 * X, X, modulus=3), True), (Poly(1 + 2 * X, X, modulus=3), False)):
        assert (outer.compose(inner).rem(modulus) == moved.compose(inner).rem(modulus)) is same
    task = tasks.get("polynomial", **SMALL)
    assert task.format(task.parse("o 1,1 1,2 = 2,2")) == "o 1,1 1,2 = 2,2"


LETTERS = np.array(["b" if binary else "u" for binary in BINARY[:LEAF]] + ["l", ""], dtype="S1")


def shapes_of(kind_bn: np.ndarray) -> Counter[str]:
    """Count the shapes of trees: letters u(nary), b(inary), l(eaf) in prefix order."""
    words = LETTERS[kind_bn].view(f"S{kind_bn.shape[1]}").ravel()
    found, times = np.unique(words, return_counts=True)
    return Counter(dict(zip(found.astype(str).tolist(), times.tolist(), strict=True)))


def test_trees_follow_their_distribution() -> None:
    count = 40_000
    trees = draw_trees(np.random.default_rng(0), np.full(count, 3), 3)
    shapes = shapes_of(trees.kind_BN)
    one = {"ul": 1 / 4, "bll": 3 / 4}
    two = {f"u{s}": q / 4 for s, q in one.items()}
    for s, q in one.items():
        two[f"b{s}l"] = two.get(f"b{s}l", 0) + 3 / 8 * q
        two[f"bl{s}"] = two.get(f"bl{s}", 0) + 3 / 8 * q
    expected: Counter[str] = Counter()
    for s, q in two.items():
        expected[f"u{s}"] += q / 4
        expected[f"b{s}l"] += q / 4
        expected[f"bl{s}"] += q / 4
    for (s, q), (t, r) in product(one.items(), one.items()):
        expected[f"b{s}{t}"] += q * r / 4
    assert sum(expected.values()) == pytest.approx(1)
    assert set(shapes) == set(expected)
    for shape, probability in expected.items():
        assert abs(shapes[shape] - count * probability) < 5 * math.sqrt(count * probability), shape
    kinds = np.bincount(trees.kind_BN[(trees.kind_BN >= 0) & (trees.kind_BN < LEAF)], minlength=LEAF)
    assert abs(kinds - 3 * count / 4).max() < 5 * math.sqrt(3 * count * 3 / 16)


def test_operations_and_leaves_are_uniform() -> None:
    task = tasks.get("polynomial", p=7, k=5, operations=(1, 5))
    batch = task.draw(np.random.default_rng(1), 20_000, "train")
    operators = (batch.roles == task.role("operator")).sum(axis=1)
    assert abs(np.bincount(operators, minlength=6)[1:] - 4000).max() < 5 * math.sqrt(3200)
    seen = np.bincount(batch.tokens[batch.roles == task.role("coefficient")], minlength=7)
    assert len(seen) == 7
    assert abs(seen - seen.mean()).max() < 5 * math.sqrt(seen.mean())


def structure_nats(task: Task, size: int) -> dict[str, tuple[float, float]]:
    """Estimate the loss of a predictor with prefix frequencies of an independent sample: mean and standard error by role."""

    def shapes(seed: int, count: int) -> Counter[str]:
        rng = np.random.default_rng(seed)
        low, high = task.operations
        return shapes_of(draw_trees(rng, rng.integers(low, high, size=count, endpoint=True), high).kind_BN)

    prefixes: Counter[str] = Counter()
    for shape, times in shapes(0, 10 * size).items():
        for end in range(1, len(shape) + 1):
            prefixes[shape[:end]] += times
    losses: dict[str, list[float]] = {"operator": [], "coefficient": []}
    for shape, times in shapes(1, size).items():
        for at in range(1, len(shape)):
            leaf = prefixes[shape[:at] + "l"]
            share = leaf if shape[at] == "l" else prefixes[shape[:at]] - leaf
            losses["coefficient" if shape[at] == "l" else "operator"] += [math.log(prefixes[shape[:at]] / share)] * times
    return {role: (np.mean(values), np.std(values) / math.sqrt(size)) for role, values in losses.items()}


@pytest.mark.parametrize("operations", [(2, 2), (1, 5)])
def test_floors_agree_with_monte_carlo(operations: tuple[int, int]) -> None:
    task = tasks.get("polynomial", p=3, k=2, operations=operations)
    for role, (mean, error) in structure_nats(task, 20_000).items():
        known = math.log(4) + mean if role == "operator" else math.log(3) + mean / 2
        assert abs(task.floor(role) - known) < 3 * error + 1e-9, role


def test_floors_at_the_extremes_are_known() -> None:
    task = tasks.get("polynomial", p=7, k=5, operations=(1, 1))
    assert task.floor("coefficient") == pytest.approx(math.log(7))
    assert [task.floor(role) for role in ("answer_0", "answer_4", "end", "pause", "-")] == [0, 0, 0, 0, None]
    assert tasks.get("polynomial", operations=(1, 10)).floor("operator") is None


@pytest.mark.parametrize("pause", [0, 5])
def test_a_sequence_is_expression_pauses_answer_and_end(pause: int) -> None:
    task = tasks.get("polynomial", **SMALL, pause=pause)
    row = task.parse("* o 2,1 0,2 1,1 = 2,1")
    words, roles = zip(*task.show(row), strict=True)
    assert list(words) == ["*", "o", *"210211", *["."] * pause, "=", "2", "1", "<end>"]
    operands = ["operator"] * 2 + ["coefficient"] * 6
    assert list(roles) == [*operands, *["pause"] * (pause + 1), "answer_0", "answer_1", "end"]
    assert row.tokens.shape == (1, task.length)
    begin, end = row.answer[0]
    assert row.tokens[0, begin:end].tolist() == [2, 1]


@given(st.integers(0, 2**32), st.sampled_from([2, 3, 7]), st.integers(1, 5), st.integers(0, 3), st.integers(1, 7))
@settings(max_examples=25, deadline=None)
def test_lines_are_read_back_exactly_and_solved(seed: int, p: int, k: int, pause: int, most: int) -> None:
    assume(p**k >= 3)  # with fewer leaves there are too few instances for three splits
    task = tasks.get("polynomial", p=p, k=k, pause=pause, operations=(1, most))
    batch = task.draw(np.random.default_rng(seed), 8, "train")
    assert_read_back(task, batch)
    for number in range(8):
        row = batch.row(number)
        begin, end = row.answer[0]
        np.testing.assert_array_equal(task.solve(row.tokens[0, :begin]), row.tokens[0, begin:end])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("+ 1,1 1,1 = 2,1", r"the value of \+ 1,1 1,1 must be 2,2, not '2,1'"),
        ("+ 1,1 = 2,1", "lacks 1 operand$"),
        ("+ = 2,1", "lacks 2 operands"),
        ("+ 1,1 1,1 0,1 = 2,2", "0,1 follows the end"),
        ("1,1 = 1,1", "number of operations must be between 1 and 3, not 0"),
        ("neg neg neg neg 1,1 = 1,1", "number of operations must be between 1 and 3, not 4"),
        ("+ 1,1 1 = 2,2", "'1' is neither an operator .* nor 2 coefficients below 3"),
        ("+ 1,1 1,3 = 2,2", "'1,3' is neither"),
        ("- 1,1 1,2 = 2,2", "'-' is neither"),
        ("+ 1,1 1,1 =", "'' is neither"),
        ("+ 1,1 1,1", "is not an expression, =, and its value"),
        ("", "is not an expression"),
    ],
)
def test_malformed_and_wrong_lines_are_rejected(line: str, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("polynomial", **SMALL).parse(line)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ([4, 1, 1, 2, 2], "ends in 0 pause tokens and ="),
        ([], "ends in"),
        ([4, 1, 1, 2, 8], "has 2 coefficients"),
        ([4, 1, 1, 8], "lacks 1 operand"),
        ([4, 1, 1, 7, 8], "cannot occur within"),
        ([1, 1, 1, 1, 8], "follows the end"),
        ([4, 99, 8], "token must be between 0 and 9"),
    ],
)
def test_wrong_prompts_are_rejected(prompt: list[int], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("polynomial", **SMALL).solve(np.array(prompt, dtype=np.int64))


def test_pauses_and_padding_do_not_change_the_split() -> None:
    line = "* o 2,1 0,2 1,1 = 2,1"
    versions = [
        tasks.get("polynomial", **{**SMALL, **extra})
        for extra in ({}, {"pause": 5}, {"operations": (2, 2)}, {"operations": (1, 9)})
    ]
    codes = [version.instances(version.parse(line).tokens) for version in versions]
    for other in codes[1:]:
        np.testing.assert_array_equal(codes[0], other)
    assert len({split_of(code).item() for code in codes}) == 1


def test_expressions_have_different_fingerprints() -> None:
    task = tasks.get("polynomial", p=3, k=1, operations=(1, 2))
    batch = task.draw(np.random.default_rng(0), 40_000, "train")
    lines = {task.format(batch.row(row)) for row in range(len(batch))}
    one, two = (3 + 3 * 9), (30 * 1 + 3 * (30 * 3) * 2)
    assert task.instance_count() == (one + two, "exact")
    assert len(lines) == one + two == len(np.unique(task.instances(batch.tokens), axis=0))


def test_variants_have_every_number_of_operations() -> None:
    variants = tasks.get("polynomial", test_operations=(1, 10)).variants()
    assert list(variants) == [f"m{m}" for m in range(1, 11)]
    for m, variant in enumerate(variants.values(), start=1):
        batch = variant.batch(0, 0, 50, "test")
        assert ((batch.roles == variant.role("operator")).sum(axis=1) == m).all()
    assert tasks.get("polynomial", test_operations=None).variants() == {}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"p": 9}, "p must be a prime below 32768, not 9"),
        ({"p": 1}, "prime"),
        ({"p": 32771}, "below 32768"),
        ({"k": 0}, "k must be between 1 and 64"),
        ({"operations": (0, 3)}, "1 <= low <= high <= 100"),
        ({"operations": (3, 2)}, "operations"),
        ({"test_operations": (5, 101)}, "test_operations"),
        ({"pause": -1}, "pause must be between 0 and 1000"),
    ],
)
def test_bad_settings_are_rejected_by_name(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("polynomial", **wrong)
