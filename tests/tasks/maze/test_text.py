import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from tasks import TaskError
from tests.helpers.lines import assert_read_back
from tests.helpers.mazes import SHAPES


def test_the_example_of_the_docstring_is_right() -> None:
    task = tasks.get("maze", turns=1, detours=1, nodes=12)
    sequence = task.parse("9,3|7,2|6,8|9,1|2,9|3,4|7,6|1,4/7,4=2,9,3,4 won")
    assert task.show(sequence)[-5:] == [("2", "turn"), ("9", "forced"), ("3", "detour"), ("4", "forced"), ("won", "outcome")]
    sequence = task.parse("9,3|7,2|6,8|9,1|2,9|3,4|7,6|1,4/7,4=6,8 lost")
    assert task.show(sequence)[-3:] == [("6", "turn"), ("8", "forced"), ("lost", "outcome")]


MAP = "9,3|7,2|6,8|9,1|2,9|3,4|7,6|1,4"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"{MAP}/7,4=2,9,3,4 lost", "the outcome must be won, not 'lost'"),
        (f"{MAP}/7,4=6,8 won", "the outcome must be lost, not 'won'"),
        (f"{MAP}/7,4=2,9,4 won", "no way from 9 to 4"),
        (f"{MAP}/7,4=2,9,3,4,5 won", "no way from 4 to 5"),
        (f"{MAP}/7,4=2,9 lost", "the walk stops at 9, before an end"),
        (f"{MAP}/7,4=2,9,3,4", "outcome after a walk must be won or lost, not ''"),
        (f"{MAP}/7,4=2,9,3,x won", "'2,9,3,x' is not a walk, numbers below 12"),
        (f"{MAP}/7=2,9,3,4 won", "'7' is not start,goal"),
        (f"{MAP[4:]}/7,4=2,9,3,4 won", "number of edges must be 8, not 7"),
        (f"{MAP[2:]}/7,4=2,9,3,4 won", "'3' is not an edge u,v"),
        (f"{MAP}/2,4=9,3,4 won", "no choice of two ways with 1 forced steps each at 2"),
        (f"{MAP}/7,5=2,9,3,4 won", "exactly one must end after 2 steps"),
        (f"{MAP}/7,8=6,8 won", "of the two ways at 7, exactly one must end after 2 steps, or both must join"),
        (f"{MAP}/9,4=1,4 won", "the edge 2,9 belongs to no choice on the way to 4"),
        (f"{MAP.replace('6,8', '6,4')}/7,4=2,9,3,4 won", "of the two ways at 7, exactly one"),
        (f"{MAP.replace('1,4', '1,5')}/7,4=2,9,3,4 won", "number of turns must be 1, not 2"),
        (f"{MAP.replace('6,8', '6,7')}/7,4=2,9,3,4 won", "exactly one must end after 2 steps"),
        ("", "'' is not an edge u,v"),
    ],
)
def test_malformed_and_wrong_lines_are_rejected(line: str, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("maze", turns=1, detours=1, nodes=12).parse(line)


def test_without_slips_a_lost_walk_is_rejected() -> None:
    with pytest.raises(TaskError, match=r"the end of a walk where maze.slip is 0 must be the goal 4, not 8"):
        tasks.get("maze", turns=1, detours=1, nodes=12, slip=0.0).parse(f"{MAP}/7,4=6,8 lost")


@given(SHAPES, st.sampled_from([0.0, 0.4]), st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_lines_are_read_back_exactly(shape: dict[str, int], slip: float, seed: int) -> None:
    task = tasks.get("maze", **shape, nodes=40, slip=slip)
    assert_read_back(task, task.draw(np.random.default_rng(seed), 8, "train"))
