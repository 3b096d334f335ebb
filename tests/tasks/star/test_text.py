"""Lines and prompts of star graphs are read back exactly, or rejected."""

from typing import Any

import numpy as np
import pytest

import tasks
from tasks import TaskError
from tests.helpers.lines import assert_read_back
from tests.helpers.stars import FORMS, VARIED


@pytest.mark.parametrize(("form", "direction"), FORMS)
@pytest.mark.parametrize("varied", VARIED, ids=str)
def test_lines_of_varied_graphs_are_read_back_exactly(varied: dict[str, Any], form: str, direction: str) -> None:
    task = tasks.get("star", arm=4, form=form, direction=direction, **varied)
    assert_read_back(task, task.batch(0, 0, 50))


@pytest.mark.parametrize(("form", "direction"), FORMS)
def test_lines_are_read_back_exactly(form: str, direction: str) -> None:
    task = tasks.get("star", form=form, direction=direction)
    assert_read_back(task, task.batch(0, 0, 50))


def test_a_public_line_has_the_published_form() -> None:
    task = tasks.get("star", degree=2, arm=3, nodes=8, form="public")
    row = task.parse("3,1|7,2|2,5|7,3/7,1=7,3,1")
    assert " ".join(word for word, _ in task.show(row)) == "3 1 | 7 2 | 2 5 | 7 3 / 7 1 = 7 3 1"
    assert [role for _, role in task.show(row)][-3:] == ["start", "turn", "follow"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("3,1|7,2|2,5|7,3/7,1=7,2,5", "must be 7,3,1, not"),
        ("3,1|7,2|2,5|7,3/7,1=3,3,1", "must be 7,3,1, not"),
        ("3,1|7,2|2,5/7,1=7,3,1", "number of edges must be 4"),
        ("3,1|7,2|2,5|7/7,1=7,3,1", "an edge u,v"),
        ("3,1|7,2|2,5|7,x/7,1=7,3,1", "an edge u,v"),
        ("3,1|7,2|2,5|7,9/7,1=7,3,1", "numbers below 8"),
        ("3,1|7,2|2,5|7,3/7,1", "a path of 3 nodes"),
        ("3,1|7,2|2,5|7,3", "start,goal"),
        ("3,1|7,2|2,5|7,3/7,6=7,3,6", "no arm from 7 ends in 6"),
        ("3,1|7,2|2,5|7,3/7,3=7,3,1", "no arm from 7 ends in 3"),
        ("3,1|7,2|2,5|7,3/2,5=2,2,5", "two edges lead to one node, or branch elsewhere than at the start"),
        ("3,1|3,2|2,5|7,3/7,1=7,3,1", "branch elsewhere than at the start"),
        ("3,1|7,3|2,1|7,2/7,1=7,3,1", "two edges lead to one node"),
        ("3,7|7,2|2,5|7,1/7,1=7,3,1", "two edges lead to one node"),
        ("7,3|3,1|1,4|7,2/7,2=7,3,2", "the graph is not 2 arms of 3 nodes from 7"),
        ("7,3|3,1|4,5|5,4/7,1=7,3,1", "the graph is not 2 arms of 3 nodes from 7"),
        ("7,3|3,1|7,3|3,1/7,1=7,3,1", "two edges lead to one node"),
        ("", "an edge u,v"),
    ],
)
def test_malformed_and_wrong_lines_are_rejected(line: str, message: str) -> None:
    task = tasks.get("star", degree=2, arm=3, nodes=8, form="public")
    with pytest.raises(TaskError, match=message):
        task.parse(line)


def test_misplaced_separators_of_a_prompt_are_rejected() -> None:
    task = tasks.get("star", degree=2, arm=3, nodes=8, form="public")
    prompt = task.parse("3,1|7,2|2,5|7,3/7,1=7,3,1").tokens[0, :15]
    np.testing.assert_array_equal(task.solve(prompt), [7, 3, 1])
    prompt[2] = 9
    with pytest.raises(TaskError, match="the prompt is not"):
        task.solve(prompt)


@pytest.mark.parametrize(
    ("varied", "line", "message"),
    [
        ({"query": "any"}, "3,1|7,2|2,5|7,3/7,3=7,3,1", "must be 7,3, not"),
        ({"query": "any"}, "3,1|7,2|2,5|7,3/7,1=7,3", "must be 7,3,1, not"),
        ({"query": "any"}, "3,1|7,2|2,5|7,3/7,6=7,3,6", "no arm from 7 has the node 6"),
        ({"query": "any"}, "3,1|7,2|2,5|7,3/7,7=7", "no arm from 7 has the node 7"),
        ({"query": "any"}, "3,1|7,2|2,5/7,1=7,3,1", "number of edges must be 4, not 3"),
        ({"query": "any"}, "3,1|7,2|2,5|7,3/7,1=7,x", "a path of 2 to 3 nodes"),
        ({"shortest_arm": 2}, "7,3/7,3=7,3", "number of edges must be between 2 and 4, not 1"),
        ({"shortest_arm": 2}, "7,1|1,2|7,3|3,4|4,5/7,5=7,3,4,5", "number of edges must be between 2 and 4, not 5"),
        ({"shortest_arm": 2}, "7,3|3,1/7,1=7,3,1", "the graph is not 2 arms of 2 to 3 nodes from 7"),
        ({"shortest_arm": 2}, "7,3|3,1|1,4|7,2/7,2=7,2", "the graph is not 2 arms of 2 to 3 nodes from 7"),
        ({"shortest_arm": 2}, "7,3|3,1|7,2/7,3=7,3", "no arm from 7 ends in 3"),
    ],
)
def test_wrong_lines_of_varied_graphs_are_rejected(varied: dict[str, Any], line: str, message: str) -> None:
    task = tasks.get("star", arm=3, nodes=8, form="public", **varied)
    with pytest.raises(TaskError, match=message):
        task.parse(line)


@pytest.mark.parametrize(
    ("form", "prompt", "message"),
    [
        ("short", [7, 3, 3, 1, 7, 2, 7], "a prompt of 4 edges has 10 tokens, not 7"),
        ("short", [7, 3, 3, 1, 7, 2, 7, 1, 3], "a prompt of 3 edges has 8 tokens, not 9"),
        ("short", [], "a prompt of 4 edges has 10 tokens, not 0"),
        ("public", [7, 3, 8, 3, 1, 9, 7, 1], "a prompt of 2 edges has 9 tokens, not 8"),
        ("public", [7, 3, 9, 3, 1, 9, 7, 1, 10], "a prompt of 1 edges has 6 tokens, not 9"),
        ("public", [7, 3, 8, 7, 1, 9, 7, 1, 9], "the prompt is not"),
    ],
)
def test_incomplete_prompts_of_varied_graphs_are_rejected(form: str, prompt: list[int], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("star", nodes=8, form=form, shortest_arm=2).solve(np.array(prompt, dtype=np.int64))
