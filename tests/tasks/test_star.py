import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from tasks import Task, TaskError
from tests.helpers.enumeration import assert_joints_are_exact

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


def test_the_order_of_edges_does_not_make_another_instance() -> None:
    task = tasks.get("star", degree=2, arm=3, nodes=8, form="public")
    one, other = (task.parse(f"{edges}/7,1=7,3,1") for edges in ("3,1|7,2|2,5|7,3", "7,3|2,5|7,2|3,1"))
    np.testing.assert_array_equal(task.instances(one.tokens), task.instances(other.tokens))
    short = tasks.get("star", degree=2, arm=3, nodes=8)
    same = short.parse("7,3|2,5|7,2|3,1/7,1=7,3,1")
    np.testing.assert_array_equal(short.instances(same.tokens), task.instances(one.tokens))


@pytest.mark.parametrize(("degree", "arm", "nodes", "form"), [(2, 2, 3, "public"), (2, 3, 6, "short"), (3, 2, 5, "public")])
def test_few_graphs_are_divided_exactly(degree: int, arm: int, nodes: int, form: str) -> None:
    task = tasks.get("star", degree=degree, arm=arm, nodes=nodes, form=form)
    found = {}
    for split in tasks.SPLITS:
        rows = np.concatenate([task.instances(task.batch(0, index, 500, split).tokens) for index in range(16)])
        found[split] = {tuple(row) for row in rows.tolist()}
    every = set.union(*found.values())
    count, kind = task.instance_count()
    assert (sum(map(len, found.values())), len(every), kind) == (count, count, "exact")
    assert len(found["validation"]) == len(found["test"]) == max(1, round(count / 16))
    assert {tuple(row) for row in task.every_instance().tolist()} == every


def test_a_graph_is_in_the_same_split_in_either_form_and_spelled() -> None:
    short, public = (tasks.get("star", degree=2, arm=3, nodes=6, form=form) for form in ("short", "public"))
    spelled = tasks.get("spelled", task=public)
    found = [
        {tuple(row) for row in task.instances(task.batch(0, 0, 3000, "test").tokens).tolist()}
        for task in (short, public, spelled)
    ]
    assert found[0] == found[1] == found[2]


def test_many_graphs_are_divided_by_a_hash() -> None:
    assert tasks.get("star").every_instance() is None


def test_separators_of_a_prompt_must_be_where_they_belong() -> None:
    task = tasks.get("star", degree=2, arm=3, nodes=8, form="public")
    prompt = task.parse("3,1|7,2|2,5|7,3/7,1=7,3,1").tokens[0, :15]
    np.testing.assert_array_equal(task.solve(prompt), [7, 3, 1])
    prompt[2] = 9
    with pytest.raises(TaskError, match="the prompt is not"):
        task.solve(prompt)


def test_arms_and_edges_are_in_random_order() -> None:
    task = tasks.get("star", degree=2, arm=2, nodes=3)
    tokens = task.batch(0, 0, 6000).tokens
    position = (tokens[:, 5:6] == tokens[:, [1, 3]]).argmax(axis=1)
    assert abs(position.mean() - 0.5) < 0.1


def tokens_of(task: Task, edges: list[tuple[int, int]], path: list[int]) -> list[int]:
    """A sequence in the task's form, its path from start to goal given."""
    walk = path if task.direction == "forward" else path[::-1]
    if task.form == "short":
        return [*(node for edge in edges for node in edge), path[0], path[-1], *walk[1:]]
    bar, slash, equals = range(task.nodes, task.nodes + 3)
    return [*[token for edge in edges for token in (*edge, bar)][:-1], slash, path[0], path[-1], equals, *walk]


def every_sequence(task: Task) -> np.ndarray:
    """All sequences of two arms of three nodes, which are equally likely."""
    return np.array(
        [
            tokens_of(task, list(edges), [c, x, y])
            for c, x, y, v, w in itertools.permutations(range(task.nodes), 5)
            for edges in itertools.permutations([(c, x), (x, y), (c, v), (v, w)])
        ]
    )


@pytest.mark.parametrize(("form", "direction"), FORMS)
def test_joints_agree_with_enumeration_from_the_last_edge_on(form: str, direction: str) -> None:
    task = tasks.get("star", nodes=5, form=form, direction=direction)
    rows = every_sequence(task)
    last_edge = 7 if form == "short" else 10
    assert_joints_are_exact(task, rows, np.ones(len(rows)), range(last_edge, task.length - 2))
    assert task.joint(task.rows(rows, np.ones_like(rows)), last_edge - 1) is None


@pytest.mark.parametrize(("form", "direction"), FORMS)
def test_a_contrast_is_the_way_to_another_goal(form: str, direction: str) -> None:
    task = tasks.get("star", degree=3, arm=4, form=form, direction=direction)
    batch = task.batch(0, 0, 40)
    contrast = task.contrast(batch)
    for number, old in enumerate(batch.tokens):
        new = contrast.tokens[number]
        begin = batch.answer[number, 0]
        np.testing.assert_array_equal(task.solve(new[:begin]), new[begin:])
        assert contrast.changed[number] == begin - (1 if form == "short" else 2)
        assert contrast.answer[number] == np.flatnonzero(old != new)[1]


def test_no_contrast_where_the_path_from_the_goal_is_its_start() -> None:
    task = tasks.get("star", arm=2, form="short", direction="reverse")
    assert task.contrast(task.batch(0, 0, 4)) is None


def test_latents_are_known_from_the_goal_on() -> None:
    edges = [(3, 1), (7, 2), (2, 5), (7, 3)]
    for form, direction, unknown, following, turn in (
        ("short", "forward", 9, [3, 1, -1], 3),
        ("short", "reverse", 9, [3, 7, -1], 3),
        ("public", "forward", 13, [7, 7, 3, 1, -1], 3),
        ("public", "reverse", 13, [1, 1, 3, 7, -1], 3),
    ):
        task = tasks.get("star", form=form, direction=direction)
        batch = task.rows(np.array([tokens_of(task, edges, [7, 3, 1])]), np.ones((1, task.length)))
        known = task.length - unknown
        left = [2, 1, 0] if form == "short" else [3, 3, 2, 1, 0]
        expected = {"goal": [1] * known, "turn": [turn] * known, "next node": following, "nodes left": left}
        for name, values in task.latents(batch).items():
            np.testing.assert_array_equal(values, [[-1] * unknown + expected[name]], f"{name} {form} {direction}")


@pytest.mark.parametrize(
    ("form", "direction", "path", "wrong"),
    [
        ("short", "forward", [3, 1], []),
        ("short", "forward", [2, 5], [0]),
        ("short", "forward", [2, 1], [0, 1]),
        ("short", "forward", [3, 5], [1]),
        ("short", "forward", [7, 2], [0, 1]),
        ("short", "forward", [7, 3], [0]),
        ("short", "reverse", [3, 7], []),
        ("short", "reverse", [2, 7], [0]),
        ("short", "reverse", [2, 3], [0, 1]),
        ("public", "forward", [7, 2, 5], [1]),
        ("public", "forward", [2, 5, 3], [0, 2]),
        ("public", "forward", [13, 3, 1], [0, 1]),
        ("public", "reverse", [1, 2, 7], [1]),
    ],
)
def test_steps_along_a_wrong_arm_are_consistent(form: str, direction: str, path: list[int], wrong: list[int]) -> None:
    """The arms are 7 3 1 and 7 2 5, the goal is 1."""
    task = tasks.get("star", form=form, direction=direction)
    tokens = np.array([tokens_of(task, [(3, 1), (7, 2), (2, 5), (7, 3)], [7, 3, 1])])
    begin = task.length - len(path)
    tokens[0, begin:] = path
    np.testing.assert_array_equal(np.flatnonzero(~task.consistent(tokens)[0]) - begin, wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"degree": 1}, "degree"),
        ({"arm": 1}, "arm"),
        ({"nodes": 4}, "at least 5"),
        ({"form": "long"}, "form"),
        ({"direction": 3}, "direction"),
    ],
)
def test_bad_settings_are_rejected_by_name(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("star", **wrong)
