import numpy as np
import pytest

import tasks
from tasks import Task, TaskError
from tasks.polynomial.expressions import LEAF
from tasks.polynomial.reading import read

SETTINGS = [{}, {"k": 1, "operations": [1, 6]}, {"k": 3, "p": 5, "operations": [2, 8], "pause": 2}]
NEGATE, PLUS, PAUSE = 3, 4, 7
"""Tokens at p = 3."""


def solve(task: Task, expression: list[int]) -> list[int]:
    signs = [task.p + LEAF] * task.pause + [task.p + LEAF + 1]
    return task.solve(np.array(expression + signs)).tolist()


def naive_value(task: Task, tokens: list[int]) -> list[int]:
    """Return the value of the longest expression that ends with these tokens."""
    for begin in range(len(tokens)):
        try:
            return solve(task, tokens[begin:])
        except TaskError:
            continue
    raise AssertionError("no expression ends here")


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_values_are_those_of_the_longest_subexpressions(settings: dict[str, object]) -> None:
    task = tasks.get("polynomial", **settings)
    batch = task.batch(0, 0, 24)
    reading = read(batch.tokens, task.p, task.k)
    for row, (begin, end) in enumerate(batch.answer):
        expression_end = begin - 1 - task.pause
        assert reading.end_B[row] == expression_end
        np.testing.assert_array_equal(reading.result_BK[row], batch.tokens[row, begin:end])
        tokens, position = batch.tokens[row].tolist(), 0
        expected = np.full((task.length, task.k), -1)
        while position < expression_end:
            position += 1 if tokens[position] >= task.p else task.k
            if tokens[position - 1] < task.p:
                expected[position - 1] = naive_value(task, tokens[:position])
        np.testing.assert_array_equal(reading.value_BTK[row], expected)


@pytest.mark.parametrize(
    ("tokens", "last"),
    [
        ([PLUS, NEGATE, 0, 1], [0, 2]),
        ([PLUS, PLUS, 1, 2, 1, 1], [2, 0]),
        ([PLUS, 1, 2, PAUSE, 0, 1], [-1, -1]),
        ([0], [-1, -1]),
    ],
)
def test_an_expression_that_is_not_complete_has_no_result(tokens: list[int], last: list[int]) -> None:
    reading = read(np.array([tokens]), 3, 2)
    assert reading.end_B.tolist() == [len(tokens)]
    assert reading.result_BK.tolist() == [[-1, -1]]
    assert reading.value_BTK[0, -1].tolist() == last


def test_latents_are_values_at_their_ends_then_the_result() -> None:
    task = tasks.get("polynomial", operations=[2, 2])
    batch = task.parse("+ 1,2 neg 0,1 = 1,1")
    latents = task.latents(batch)
    unknown = [-1] * (task.length - 6)
    np.testing.assert_array_equal(latents["value 0"], [[-1, -1, 1, -1, -1, 1, *unknown]])
    np.testing.assert_array_equal(latents["value 1"], [[-1, -1, 2, -1, -1, 1, *unknown]])
    np.testing.assert_array_equal(latents["result 0"], [[-1] * 5 + [1] * (task.length - 5)])


def test_a_contrast_changes_one_coefficient_and_the_answer() -> None:
    task = tasks.get("polynomial")
    batch = task.batch(0, 0, 400)
    contrast = task.contrast(batch)
    for number, row in enumerate(contrast.sequence.tolist()):
        old, new = batch.tokens[row], contrast.tokens[number]
        begin, end = batch.answer[row]
        assert np.flatnonzero(old[:begin] != new[:begin]).tolist() == [contrast.changed[number]]
        assert old[contrast.changed[number]] < task.p
        np.testing.assert_array_equal(task.solve(new[:begin]), new[begin:end])
        assert contrast.answer[number] == begin + np.flatnonzero(old[begin:end] != new[begin:end])[0]


def test_an_answer_that_no_coefficient_changes_is_left_out() -> None:
    task = tasks.get("polynomial")
    batch = task.batch(0, 0, 400)
    left_out = np.setdiff1d(np.arange(400), task.contrast(batch).sequence)
    assert 0 < len(left_out) < 20
    for row in left_out:
        begin, end = batch.answer[row]
        for position in np.flatnonzero(batch.tokens[row, : begin - 1] < task.p):
            for value in range(task.p):
                prompt = batch.tokens[row, :begin].copy()
                prompt[position] = value
                np.testing.assert_array_equal(task.solve(prompt), batch.tokens[row, begin:end])


def test_each_coefficient_of_an_answer_is_judged_separately() -> None:
    task = tasks.get("polynomial", pause=2)
    batch = task.parse("* 2,1 0,2 = 0,1")
    begin = batch.answer[0, 0]
    for stated, wrong in (([0, 1], []), ([0, 2], [1]), ([1, 1], [0]), ([2, 9], [0, 1])):
        batch.tokens[0, begin : begin + 2] = stated
        assert (np.flatnonzero(~task.consistent(batch.tokens)[0]) - begin).tolist() == wrong
