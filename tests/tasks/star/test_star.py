import zlib
from collections import Counter
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from tasks import Task, TaskError
from tasks.core.division import split_of
from tests.helpers.enumeration import assert_joints_are_exact
from tests.helpers.stars import every_sequence, tokens_of

FORMS = [(form, direction) for form in ("short", "public") for direction in ("forward", "reverse")]
VARIED: list[dict[str, Any]] = [{"query": "any"}, {"shortest_arm": 2}, {"query": "any", "shortest_arm": 2}]
"""Settings with which paths, or graphs, differ in size."""


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


@pytest.mark.parametrize(
    ("settings", "checksum"),
    [
        ({}, 2673996722),
        ({"degree": 3, "arm": 4, "form": "public"}, 1973973777),
        ({"nodes": 6, "direction": "reverse"}, 2047907612),
    ],
)
def test_batches_of_earlier_versions_stay(settings: dict[str, Any], checksum: int) -> None:
    """Sums from before there were `query` and `shortest_arm`."""
    task = tasks.get("star", **settings)
    assert zlib.crc32(task.batch(3, 1, 50, "test").tokens.tobytes()) == checksum


@pytest.mark.parametrize(("form", "direction"), FORMS)
@pytest.mark.parametrize("query", ["goal", "any"])
@given(st.tuples(st.integers(2, 4), st.integers(2, 5), st.integers(0, 5)), st.integers(2, 5), st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_the_path_is_the_one_that_networkx_finds(
    form: str, direction: str, query: str, size: tuple[int, int, int], shortest: int, seed: int
) -> None:
    degree, arm, spare = size
    shape = {"degree": degree, "arm": arm, "nodes": 1 + degree * (arm - 1) + spare}
    shape |= {"shortest_arm": shortest} if shortest < arm else {}
    task = tasks.get("star", **shape, form=form, direction=direction, query=query)
    batch = task.draw(np.random.default_rng(seed), 6, "train")
    for row in range(6):
        graph, start, goal, path = graph_of(task, task.format(batch.row(row)))
        arms = nx.subgraph(graph, [node for node in graph if node != start])
        lengths = [1 + len(nodes) for nodes in nx.connected_components(arms)]
        assert all(min(shortest, arm) <= length <= arm for length in lengths)
        assert graph.degree[start] == len(lengths) == degree
        assert all(graph.degree[node] <= 2 for node in arms)
        assert goal != start
        assert query == "any" or graph.degree[goal] == 1
        found = nx.shortest_path(graph, start, goal)
        assert path == (found if direction == "forward" else found[::-1])
        begin, end = batch.answer[row]
        np.testing.assert_array_equal(task.solve(batch.tokens[row, :begin]), batch.tokens[row, begin:end])


@pytest.mark.parametrize(("form", "direction"), FORMS)
@pytest.mark.parametrize("varied", VARIED, ids=str)
def test_sequences_are_those_of_plain_loops(varied: dict[str, Any], form: str, direction: str) -> None:
    """Every drawn sequence is among them; roles, answer and padding follow from the path and its length."""
    task = tasks.get("star", nodes=5, form=form, direction=direction, **varied)
    every = every_sequence(task)
    steps_of = {tuple(tokens): steps for tokens, steps in zip(every.tokens.tolist(), every.steps.tolist(), strict=True)}
    assert len(steps_of) == len(every.tokens)
    batch = task.draw(np.random.default_rng(0), 400, "train")
    given = ["start"] if form == "public" else []
    for row, tokens in enumerate(batch.tokens.tolist()):
        steps = steps_of[tuple(tokens)]
        begin, end = batch.answer[row]
        assert end - begin == steps + len(given)
        roles = ["prompt"] * begin + given + ["turn"] + ["follow"] * (steps - 1) + ["-"] * (task.length - end)
        assert [task.roles[role] for role in batch.roles[row]] == roles
        assert batch.scored[row].tolist() == [begin <= position < end for position in range(task.length)]
        assert set(tokens[end - 1 :]) == {tokens[end - 1]}
    assert max(steps_of.values()) == task.arm - 1
    assert (every.tokens.shape[1], set(batch.roles[:, -1].tolist())) == (task.length, {0, batch.roles[:, -1].max()})


@pytest.mark.parametrize("varied", VARIED, ids=str)
def test_instances_have_the_stated_distribution(varied: dict[str, Any]) -> None:
    """Drawn from the whole distribution, and in each split within its stratum: up to six deviations."""
    task = tasks.get("star", nodes=5, **varied)
    every = every_sequence(task)
    assert every.chances.sum() == pytest.approx(1)
    numbers: dict[object, int] = {}
    own = np.array([numbers.setdefault(instance, len(numbers)) for instance in every.instances])
    forms, first, theirs = np.unique(task.instances(every.tokens), axis=0, return_index=True, return_inverse=True)
    assert task.instance_count() == (len(numbers), "exact")
    assert len(forms) == len(numbers)
    np.testing.assert_array_equal(own[first][theirs.ravel()], own)
    chances = np.bincount(theirs.ravel(), weights=every.chances)
    stratum = task.stratum(every.tokens)
    for number, stated in enumerate(task.strata()):
        assert every.chances[stratum == number].sum() == pytest.approx(stated.chance)
        assert {f"{steps} step{'s' * (steps > 1)}" for steps in every.steps[stratum == number].tolist()} == {stated.name}
    place = {form.tobytes(): number for number, form in enumerate(forms)}
    drawn = task.instances(task.draw(np.random.default_rng(1), 40_000, "train").tokens)
    counts = Counter(place[form.tobytes()] for form in drawn)
    deviation = np.sqrt(chances * 40_000)
    assert all(abs(counts[number] - chance * 40_000) < 6 * deviation[number] for number, chance in enumerate(chances))
    split = split_of(task, every.tokens[first])
    for number, name in enumerate(tasks.SPLITS):
        steps = Counter(task.stratum(task.batch(0, 0, 4000, name).tokens).tolist())
        here = {place[form.tobytes()] for form in task.instances(task.batch(0, 0, 4000, name).tokens)}
        assert here <= set(np.flatnonzero(split == number).tolist())
        for stratum_number, stated in enumerate(task.strata()):
            assert abs(steps[stratum_number] / 4000 - stated.chance) < 6 * np.sqrt(stated.chance / 4000)


@pytest.mark.parametrize("varied", [{}, {"degree": 3, "arm": 2, "query": "any"}, *VARIED], ids=str)
def test_the_plateau_is_a_guess_from_the_edges_of_the_start(varied: dict[str, Any]) -> None:
    task = tasks.get("star", nodes=5, **varied)
    every = every_sequence(task)
    right = []
    for edges, goal in every.instances:
        heads = {head for _, head in edges}
        beside = [head for tail, head in edges if tail not in heads]
        right.append(1 if goal in beside else 1 / len(beside))
    chances = dict(task.plateaus("turn"))
    assert chances == (
        {"edges of the start alone": pytest.approx(every.chances @ right)} if task.varies and task.arm > 2 else {}
    )
    assert [role for role in task.roles if role != "turn" and task.plateaus(role)] == []
    assert tasks.get("star", direction="reverse", **varied).plateaus("turn") == {}


@pytest.mark.parametrize(("form", "direction"), FORMS)
@pytest.mark.parametrize("varied", VARIED, ids=str)
def test_lines_of_varied_graphs_are_read_back_exactly(varied: dict[str, Any], form: str, direction: str) -> None:
    task = tasks.get("star", arm=4, form=form, direction=direction, **varied)
    batch = task.batch(0, 0, 50)
    for row in range(50):
        line = task.format(batch.row(row))
        again = task.parse(line)
        assert task.format(again) == line
        for field in ("tokens", "roles", "scored", "answer"):
            np.testing.assert_array_equal(getattr(again, field), getattr(batch.row(row), field))


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


@pytest.mark.parametrize("varied", VARIED, ids=str)
@pytest.mark.parametrize("nodes", [7, 12])
def test_a_varied_graph_is_in_the_same_split_in_either_form(varied: dict[str, Any], nodes: int) -> None:
    """With 12 nodes the largest graphs are too many to be ranked."""
    short, public, backwards = (
        tasks.get("star", arm=4, nodes=nodes, form=form, direction=direction, **varied)
        for form, direction in (FORMS[0], FORMS[2], FORMS[3])
    )
    spelled = tasks.get("spelled", task=public)
    row = short.draw(np.random.default_rng(0), 200, "train")
    lines = [short.format(row.row(number)) for number in range(200)]
    same = np.concatenate([public.parse(line).tokens for line in lines])
    back = np.concatenate([backwards.parse(reversed_path(line)).tokens for line in lines])
    of_short = short.instances(row.tokens), split_of(short, row.tokens)
    for task, tokens in ((public, same), (backwards, back), (spelled, spelled.code[same].reshape(200, -1))):
        np.testing.assert_array_equal(task.instances(tokens), of_short[0])
        np.testing.assert_array_equal(split_of(task, tokens), of_short[1])


def reversed_path(line: str) -> str:
    edges, _, path = line.partition("=")
    return f"{edges}={','.join(path.split(',')[::-1])}"


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


@pytest.mark.parametrize(("form", "direction"), FORMS)
@pytest.mark.parametrize("varied", [{}, *VARIED], ids=str)
def test_joints_agree_with_enumeration_from_the_last_edge_on(varied: dict[str, Any], form: str, direction: str) -> None:
    """The last edge of the largest graph, which has four."""
    task = tasks.get("star", nodes=5, form=form, direction=direction, **varied)
    every = every_sequence(task)
    last_edge = 7 if form == "short" else 10
    assert_joints_are_exact(task, every.tokens, every.chances, range(last_edge, task.length - 2))
    assert task.joint(task.rows(every.tokens, np.ones_like(every.tokens)), last_edge - 1) is None


@pytest.mark.parametrize(("form", "direction"), FORMS)
@pytest.mark.parametrize("varied", [{}, *VARIED], ids=str)
def test_a_contrast_is_the_way_to_a_goal_on_another_arm(varied: dict[str, Any], form: str, direction: str) -> None:
    """Only sequences in reverse in the short form can lack one: the other arm has no goal with another node before it."""
    task = tasks.get("star", arm=4, form=form, direction=direction, **varied)
    batch = task.batch(0, 0, 80)
    contrast = task.contrast(batch)
    assert len(contrast.sequence) == 80 or (varied and (form, direction) == ("short", "reverse"))
    for number, new in zip(contrast.sequence, contrast.tokens, strict=True):
        old, begin = batch.tokens[number], batch.answer[number, 0]
        graph, start, goal, path = graph_of(task, task.format(batch.row(number)))
        found = task.solve(new[:begin])
        np.testing.assert_array_equal(new[begin:], [*found, *found[-1:].repeat(task.length - begin - len(found))])
        changed = begin - (1 if form == "short" else 2)
        other = graph_of(task, task.format(task.rows(new[None], 0 * new[None], batch.answer[[number]])))[2]
        assert start in nx.shortest_path(graph, goal, other)
        assert (new[changed], old[changed]) == (other, goal)
        different = np.flatnonzero(old != new)
        assert (contrast.changed[number == contrast.sequence], contrast.answer[number == contrast.sequence]) == (
            changed,
            different[1],
        )
        assert path != found.tolist()
    alone = [number for number in range(80) if number not in contrast.sequence]
    for number in alone:
        graph, start, goal, _ = graph_of(task, task.format(batch.row(number)))
        leaves = [node for node in graph if graph.degree[node] == 1 and node != goal]
        assert graph.has_edge(start, goal)
        assert task.query == "any" or all(graph.has_edge(start, leaf) for leaf in leaves)


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
    ("form", "direction", "unknown", "following", "turn"),
    [
        ("short", "forward", 7, [8, 2, -1, -1, -1, -1], 8),
        ("short", "reverse", 7, [8, 7, -1, -1, -1, -1], 8),
        ("public", "forward", 10, [7, 7, 8, 2, -1, -1, -1, -1, -1], 8),
        ("public", "reverse", 10, [2, 2, 8, 7, -1, -1, -1, -1, -1], 8),
    ],
)
def test_latents_end_with_the_path(form: str, direction: str, unknown: int, following: list[int], turn: int) -> None:
    """The arms are 7 8 2 and 7 5 of at most four nodes, the goal is 2."""
    task = tasks.get("star", arm=4, shortest_arm=2, form=form, direction=direction)
    tokens = np.array([tokens_of(task, [(8, 2), (7, 5), (7, 8)], [7, 8, 2])])
    following = [*following, *[-1] * (task.length - unknown - len(following))]
    steps = sum(node >= 0 for node in following) - (form == "public")  # the answer's first token is next at = as well
    left = [steps] * (1 + (form == "public")) + list(range(steps))[::-1]
    left += [0] * (len(following) - len(left))
    known = len(following)
    expected = {"goal": [2] * known, "turn": [turn] * known, "next node": following, "nodes left": left}
    for name, values in task.latents(task.rows(tokens, 0 * tokens)).items():
        np.testing.assert_array_equal(values, [[-1] * unknown + expected[name]], name)


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
    ("form", "direction", "path", "wrong"),
    [
        ("short", "forward", [8, 2], []),
        ("short", "forward", [5, 5], [0, 1]),
        ("short", "forward", [8, 3], [1]),
        ("short", "reverse", [8, 7], []),
        ("short", "reverse", [7, 7], [0, 1]),
        ("public", "forward", [7, 8, 2], []),
        ("public", "forward", [7, 5, 8], [1, 2]),
        ("public", "reverse", [2, 8, 7], []),
        ("public", "reverse", [5, 7, 7], [0, 2]),
    ],
)
def test_nothing_after_a_path_is_judged(form: str, direction: str, path: list[int], wrong: list[int]) -> None:
    """The arms are 7 8 2 and 7 5 of at most four nodes, the goal is 2."""
    task = tasks.get("star", arm=4, shortest_arm=2, form=form, direction=direction)
    tokens = np.array([tokens_of(task, [(8, 2), (7, 5), (7, 8)], [7, 8, 2])])
    begin = 8 if form == "short" else 12
    tokens[0, begin:] = [*path, *[9] * (task.length - begin - len(path))]
    np.testing.assert_array_equal(np.flatnonzero(~task.consistent(tokens)[0]) - begin, wrong)


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
def test_prompts_of_varied_graphs_must_be_whole(form: str, prompt: list[int], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("star", nodes=8, form=form, shortest_arm=2).solve(np.array(prompt, dtype=np.int64))


def test_younger_settings_at_their_defaults_change_no_instance() -> None:
    prints = {tasks.get("star", **varied).fingerprint for varied in [{}, *VARIED]}
    assert len(prints) == 4
    assert tasks.get("star", query="goal", shortest_arm=None).fingerprint == "a42150ead11e1fbc"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"arm": 1001, "nodes": 10**4, "query": "any"}, "star.arm must be at most 1000 where paths vary in length, not 1001"),
        ({"query": "all"}, "star.query must be one of goal, any, not 'all'"),
        ({"shortest_arm": 1}, "star.shortest_arm must be null, or at least 2 and below 3, the nodes of the longest arm, not 1"),
        ({"shortest_arm": 3}, "star.shortest_arm must be null, or at least 2 and below 3"),
        ({"shortest_arm": [2, 3]}, "star.shortest_arm must be a whole number"),
        ({"shortest_arm": 2, "nodes": 4}, "star.nodes must be at least 5, the nodes of such a graph"),
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
