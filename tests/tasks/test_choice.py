"""Choices determine the tokens after them; free tokens determine nothing."""

from itertools import product

import numpy as np
import pytest

import tasks
from tasks import TaskError
from tasks.choice import CHOICE, CONSEQUENCE, FREE, Choice
from tests.helpers.enumeration import assert_joints_are_exact

SMALL = tasks.get("choice", options=2, consequences=2, blocks=2, lead=2)


def test_consequences_follow_from_their_choice_alone() -> None:
    task = tasks.get("choice")
    assert isinstance(task, Choice)
    batch = task.batch(0, 0, 300)
    for tokens, roles in zip(batch.tokens, batch.roles, strict=True):
        choices = tokens[roles == CHOICE] - task.lead
        consequences = tokens[roles == CONSEQUENCE].reshape(task.blocks, task.consequences) - task.lead - task.options
        np.testing.assert_array_equal(consequences, task.rule[:, choices].T)
    assert (np.sort(task.rule, axis=1) == np.arange(task.options)).all(), "the rule is one to one"


def test_choices_and_free_tokens_are_uniform_and_independent() -> None:
    batch = SMALL.draw(np.random.default_rng(0), 40_000, "train")
    random = batch.tokens[:, np.isin(batch.roles[0], (CHOICE, FREE))]
    _, counts = np.unique(random, axis=0, return_counts=True)
    assert len(counts) == 2**4
    assert counts / 40_000 == pytest.approx(1 / 16, abs=0.006)


def test_joints_agree_with_enumeration() -> None:
    every = [
        [0, 1, *(token for choice, free in blocks for token in (2 + choice, *(4 + SMALL.rule[:, choice]), 6 + free))]
        for blocks in product(product((0, 1), repeat=2), repeat=2)
    ]
    assert_joints_are_exact(SMALL, np.array(every), np.full(16, 1 / 16), range(SMALL.length - 2))


def test_a_wrong_token_is_named_with_the_right_one() -> None:
    right = SMALL.batch(0, 0, 1).tokens
    assert SMALL.label(right).roles.tolist() == [[1, 1, 2, 3, 3, 4, 2, 3, 3, 4]]
    for position, wrong in ((0, 1), (3, 0), (5, 1)):
        tokens = right.copy()
        tokens[0, position] = wrong
        with pytest.raises(TaskError, match=f"token {position} must be .*, not {SMALL.word(wrong)}"):
            SMALL.label(tokens)


@pytest.mark.parametrize("setting", ["options", "blocks", "lead"])
def test_settings_out_of_range_are_rejected(setting: str) -> None:
    with pytest.raises(TaskError, match=f"choice.{setting} must be at least"):
        tasks.get("choice", **{setting: 0})
