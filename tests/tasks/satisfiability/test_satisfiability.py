"""Satisfiability agrees with a solver that tries every assignment, one formula at a time."""

import itertools
from collections import Counter
from math import factorial, prod
from typing import Any

import numpy as np
import pytest
from scipy import stats

import tasks
from tasks import TaskError
from tasks.satisfiability import Satisfiability
from tasks.satisfiability.formulas import build_formulas

SIZES: list[dict[str, Any]] = [
    {},
    {"variables": 3, "clauses": 12},
    {"variables": 5, "clauses": 20},
    {"variables": 7, "clauses": 24},
]
EACH = pytest.mark.parametrize("size", SIZES, ids=str)

Clause = tuple[str, ...]


def read(task: Satisfiability, tokens: np.ndarray) -> tuple[list[Clause], list[str]]:
    """Return the clauses and the answer of a sequence, as words."""
    words = [task.word(token) for token in tokens.tolist()]
    end = task.clauses * task.width
    return list(zip(*[iter(words[:end])] * task.width, strict=True)), words[end:]


def satisfying(clauses: list[Clause], variables: int) -> list[list[str]]:
    """List the assignments that satisfy the clauses, each as its true literals."""
    every = itertools.product(*([f"x{i}", f"-x{i}"] for i in range(1, variables + 1)))
    return [list(true) for true in every if all(set(clause) & set(true) for clause in clauses)]


@EACH
def test_the_answer_is_the_only_solution(size: dict[str, Any]) -> None:
    task = Satisfiability(**size)
    for tokens in task.batch(0, 0, 40, "test").tokens:
        clauses, answer = read(task, tokens)
        assert satisfying(clauses, task.variables) == [answer]
        assert all(len({word.removeprefix("-") for word in clause}) == task.width for clause in clauses)


@EACH
def test_the_signs_of_a_variable_are_balanced(size: dict[str, Any]) -> None:
    task = Satisfiability(**size)
    for tokens in task.batch(0, 0, 40).tokens:
        counts = Counter(itertools.chain.from_iterable(read(task, tokens)[0]))
        assert all(counts[f"x{i}"] == counts[f"-x{i}"] for i in range(1, task.variables + 1))


def test_formulas_are_drawn_with_their_probability() -> None:
    """With three variables: lists of twelve clauses with uniform balanced signs are kept if they have one solution."""
    task = Satisfiability(variables=3, clauses=12)
    every = np.array(list(itertools.product((0, 1), repeat=3)))  # the signs of each clause
    weights = {}
    for number in itertools.combinations_with_replacement(range(8), 12):
        times = np.bincount(number, minlength=8)
        if (times > 0).sum() == 7 and (times @ every == 6).all():  # each clause excludes one assignment
            weights[tuple(times.tolist())] = factorial(12) // prod(map(factorial, times.tolist()))
    size = 40_000
    literals = task.draw(np.random.default_rng(0), size, "train").tokens[:, :36].reshape(size, 12, 3)
    clauses = np.sort(literals, axis=2) % 2 @ [4, 2, 1]
    drawn = Counter(map(tuple, (clauses[:, :, None] == np.arange(8)).sum(axis=1).tolist()))
    assert set(drawn) <= set(weights)
    expected = np.array(list(weights.values())) / sum(weights.values()) * size
    found = np.array([drawn[each] for each in weights])
    assert stats.chisquare(found, expected).pvalue > 1e-3
    assert task.instance_count().value >= len(weights)


def test_variables_are_uniform_over_balanced_formulas() -> None:
    formulas, size = build_formulas(4, 4, 3), 50_000
    literals = formulas.draw(np.random.default_rng(0), size)
    sets = list(itertools.combinations(range(4), 3))
    even = [
        number
        for number in itertools.product(range(4), repeat=4)
        if all(sum(variable in sets[i] for i in number) % 2 == 0 for variable in range(4))
    ]
    drawn = Counter(tuple(sets.index(tuple(clause)) for clause in formula) for formula in (literals // 2).tolist())
    assert set(drawn) == set(even)
    assert stats.chisquare([drawn[each] for each in even]).pvalue > 1e-3
    alike = literals[(literals // 2 == literals[0] // 2).all(axis=(1, 2))]  # those with the variables of the first
    signs = Counter(tuple(formula) for formula in (alike % 2).reshape(len(alike), -1).tolist())
    occurrences = Counter((literals[0] // 2).ravel().tolist()).values()
    number = prod(factorial(times) // factorial(times // 2) ** 2 for times in occurrences)
    assert len(signs) <= number
    assert stats.chisquare([*signs.values(), *[0] * (number - len(signs))]).pvalue > 1e-3


def test_few_formulas_are_listed_and_divided_exactly() -> None:
    task = Satisfiability(variables=3, clauses=10)
    found = {}
    for split in tasks.SPLITS:
        instances = task.instances(task.batch(0, 0, 400, split).tokens)
        found[split] = {tuple(row) for row in instances.tolist()}
    every = task.every_instance()
    assert every is not None
    assert set.union(*found.values()) == {tuple(row) for row in every.tolist()}
    assert [len(found[split]) for split in tasks.SPLITS] == [6, 1, 1]


def test_the_order_of_clauses_does_not_change_an_instance() -> None:
    task, rng = Satisfiability(variables=5, clauses=20), np.random.default_rng(0)
    tokens = task.batch(0, 0, 20).tokens
    literals = tokens[:, :60].reshape(20, 20, 3)[:, rng.permutation(20)]
    moved = np.concatenate([literals.reshape(20, 60), tokens[:, 60:]], axis=1)
    np.testing.assert_array_equal(task.instances(moved), task.instances(tokens))
    moved[:, 0] ^= 1
    assert (task.instances(moved) != task.instances(tokens)).any(axis=1).all()


@EACH
def test_latents_count_the_remaining_assignments(size: dict[str, Any]) -> None:
    task = Satisfiability(**size)
    batch = task.batch(0, 0, 4)
    latents = task.latents(batch)
    for row, tokens in enumerate(batch.tokens):
        clauses, _ = read(task, tokens)
        for position in range(task.length):
            left = satisfying(clauses[: (position + 1) // task.width], task.variables)
            assert latents["solutions"][row, position] == len(left)
            for number in range(task.variables):
                share = np.mean([f"x{number + 1}" in true for true in left])
                assert latents["marginals"][row, position, number] == pytest.approx(share)
                assert latents[f"value {number + 1}"][row, position] == (share if share in (0, 1) else -1)


def test_samples_are_judged_by_their_clauses() -> None:
    task = Satisfiability(variables=5, clauses=20)
    tokens = task.batch(0, 0, 50).tokens
    assert task.judge(tokens) == {"satisfied": 1, "clauses": 1}
    wrong = tokens.copy()
    wrong[:25, -1] ^= 1
    judged = [read(task, row) for row in wrong]
    true = [bool(set(clause) & set(answer)) for clauses, answer in judged for clause in clauses]
    assert task.judge(wrong) == {"satisfied": 0.5, "clauses": pytest.approx(np.mean(true))}
    moved = np.concatenate([tokens[:, :60], np.roll(tokens[:, 60:], 1, axis=1)], axis=1)
    assert task.judge(moved) == {"satisfied": 0, "clauses": 0}, "a value of another variable does not count"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda tokens: tokens[:-6],
            "a prompt has 60 tokens, 20 clauses of 3 literals, of different variables in increasing order, not 59",
        ),
        (
            lambda tokens: np.concatenate([tokens[:1], tokens[:59]]),
            "a prompt is 20 clauses of 3 literals, of different variables in increasing order",
        ),
        (
            lambda tokens: np.concatenate([tokens[[1, 0]], tokens[2:60]]),
            "of 3 literals, of different variables in increasing order",
        ),
        (lambda tokens: np.concatenate([tokens[:2], [10], tokens[3:60]]), "a token must be between 0 and 9, not 10"),
        (lambda tokens: np.concatenate([tokens[:1] ^ 1, tokens[1:60]]), "every variable must occur as often negated as not"),
        (lambda _: np.resize([0, 2, 4, 1, 3, 5], 60), "the number of solutions must be 1, not 24"),
    ],
)
def test_invalid_formulas_are_rejected(change: object, message: str) -> None:
    task = Satisfiability(variables=5, clauses=20)
    assert callable(change)
    with pytest.raises(TaskError, match=message):
        task.solve(change(task.batch(0, 0, 1).tokens[0]))


def test_a_wrong_value_is_rejected_with_the_right_answer() -> None:
    task = Satisfiability(variables=5, clauses=20)
    row = task.batch(0, 0, 1)
    np.testing.assert_array_equal(task.parse(task.format(row)).tokens, row.tokens)
    right = " ".join(map(str, row.tokens[0, 60:].tolist()))
    row.tokens[0, 62] ^= 1
    with pytest.raises(TaskError, match=f"the answer must be {right}, not "):
        task.parse(task.format(row))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"width": 2}, "width must be between 3 and 9"),
        ({"width": 10}, "width must be between 3 and 9"),
        ({"variables": 2}, "variables must be between 3, the width of a clause, and 9"),
        ({"variables": 10}, "variables must be between 3, the width of a clause, and 9"),
        ({"clauses": 0}, "clauses must be between 1 and 400"),
        ({"clauses": 401}, "clauses must be between 1 and 400"),
        ({"clauses": 13}, "clauses must be even where width is odd"),
        ({"clauses": 6}, r"at least 20 of 2000 formulas have exactly one solution \(0 here\), not 6"),
        ({"clauses": 100}, r"at least 20 of 2000 formulas have exactly one solution \(0 here\), not 100"),
    ],
)
def test_bad_settings_are_rejected_by_name(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("satisfiability", **wrong)
