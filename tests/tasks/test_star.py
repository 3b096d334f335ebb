import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from tasks import Task, TaskError

FORMS = [(form, direction) for form in ("short", "public") for direction in ("forward", "reverse")]


def graph_of(task: Task, line: str) -> tuple[nx.Graph, int, int, list[int]]:
    edges, rest = line.split("/")
    ends, path = rest.split("=")
    start, goal = map(int, ends.split(","))
    return (
        nx.Graph(tuple(map(int, edge.split(","))) for edge in edges.split("|")),
        start,
        goal,
        [int(word) for word in path.split(",")],
    )


@pytest.mark.parametrize(("form", "direction"), FORMS)
@given(st.tuples(st.integers(2, 4), st.integers(2, 5), st.integers(0, 5)), st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_the_path_is_the_one_that_networkx_finds(form: str, direction: str, size: tuple[int, int, int], seed: int) -> None:
    degree, arm, spare = size
    task = tasks.get("star", degree=degree, arm=arm, nodes=1 + degree * (arm - 1) + spare, form=form, direction=direction)
    batch = task.draw(np.random.default_rng(seed), 6, "train")
    for row in range(6):
        graph, start, goal, path = graph_of(task, task.format(batch.row(row)))
        assert sorted(degree for _, degree in graph.degree) == sorted([degree] + [1] * degree + [2] * (degree * (arm - 2)))
        assert graph.degree[start] == degree
        found = nx.shortest_path(graph, start, goal)
        assert path == (found if direction == "forward" else found[::-1])
        begin, end = batch.answer[row]
        np.testing.assert_array_equal(task.solve(batch.tokens[row, :begin]), batch.tokens[row, begin:end])


@pytest.mark.parametrize(("form", "direction"), FORMS)
def test_lines_are_read_back_exactly(form: str, direction: str) -> None:
    task = tasks.get("star", form=form, direction=direction)
    batch = task.batch(0, 0, 50)
    for row in range(50):
        line = task.format(batch.row(row))
        again = task.parse(line)
        assert task.format(again) == line
        for field in ("tokens", "roles", "scored", "answer"):
            np.testing.assert_array_equal(getattr(again, field), getattr(batch.row(row), field))


def test_a_public_line_is_what_the_literature_writes() -> None:
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
        ("3,1|7,2|2,5|7,3/7,6=7,3,6", "no path leads from 7 to 6"),
        ("", "an edge u,v"),
    ],
)
def test_malformed_and_wrong_lines_are_refused_with_what_is_wrong(line: str, message: str) -> None:
    task = tasks.get("star", degree=2, arm=3, nodes=8, form="public")
    with pytest.raises(TaskError, match=message):
        task.parse(line)


def test_the_order_of_edges_does_not_make_another_instance() -> None:
    task = tasks.get("star", degree=2, arm=3, nodes=8, form="public")
    one, other = (task.parse(f"{edges}/7,1=7,3,1") for edges in ("3,1|7,2|2,5|7,3", "7,3|2,5|7,2|3,1"))
    np.testing.assert_array_equal(task.instances(one.tokens), task.instances(other.tokens))
    short = tasks.get("star", degree=2, arm=3, nodes=8)
    same = short.parse("7,3|2,5|7,2|3,1/7,1=7,3,1")
    np.testing.assert_array_equal(short.instances(same.tokens), task.instances(one.tokens))


def test_the_goal_is_at_the_end_of_any_arm_and_edges_in_any_order() -> None:
    task = tasks.get("star", degree=2, arm=2, nodes=3)
    tokens = task.batch(0, 0, 6000).tokens
    position = (tokens[:, 5:6] == tokens[:, [1, 3]]).argmax(axis=1)
    assert abs(position.mean() - 0.5) < 0.1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"degree": 1}, "degree"),
        ({"arm": 1}, "arm"),
        ({"nodes": 6}, "at least 7"),
        ({"form": "long"}, "form"),
        ({"direction": 3}, "direction"),
    ],
)
def test_bad_settings_are_refused_by_name(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("star", **wrong)
