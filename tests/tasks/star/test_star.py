"""Star graphs: batches, paths, distributions, plateaus and settings."""

import zlib
from collections import Counter
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from tasks import TaskError
from tasks.core.division import split_of
from tests.helpers.stars import FORMS, VARIED, every_sequence, graph_of


@pytest.mark.parametrize(
    ("settings", "checksum"),
    [
        ({}, 2673996722),
        ({"degree": 3, "arm": 4, "form": "public"}, 1973973777),
        ({"nodes": 6, "direction": "reverse"}, 2047907612),
    ],
)
def test_batches_of_earlier_versions_do_not_change(settings: dict[str, Any], checksum: int) -> None:
    """The checksums are from before the settings `query` and `shortest_arm` existed."""
    task = tasks.get("star", **settings)
    assert zlib.crc32(task.batch(3, 1, 50, "test").tokens.tobytes()) == checksum


@pytest.mark.parametrize(("form", "direction"), FORMS)
@pytest.mark.parametrize("query", ["goal", "any"])
@given(st.tuples(st.integers(2, 4), st.integers(2, 5), st.integers(0, 5)), st.integers(2, 5), st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_the_path_agrees_with_networkx(
    form: str, direction: str, query: str, size: tuple[int, int, int], shortest: int, seed: int
) -> None:
    degree, arm, spare = size
    shape = {"degree": degree, "arm": arm, "nodes": 1 + degree * (arm - 1) + spare}
    shape |= {"shortest_arm": shortest} if shortest < arm else {}
    task = tasks.get("star", **shape, form=form, direction=direction, query=query)
    batch = task.draw(np.random.default_rng(seed), 6, "train")
    for row in range(6):
        graph, start, goal, path = graph_of(task.format(batch.row(row)))
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
def test_sequences_agree_with_plain_loops(varied: dict[str, Any], form: str, direction: str) -> None:
    """Every drawn sequence is enumerated; roles, answer and padding follow from the path and its length."""
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
    """Draws of the full distribution and of strata in each split agree with it within six deviations."""
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
    number_of = {form.tobytes(): number for number, form in enumerate(forms)}
    drawn = task.instances(task.draw(np.random.default_rng(1), 40_000, "train").tokens)
    counts = Counter(number_of[form.tobytes()] for form in drawn)
    deviation = np.sqrt(chances * 40_000)
    assert all(abs(counts[number] - chance * 40_000) < 6 * deviation[number] for number, chance in enumerate(chances))
    split = split_of(task, every.tokens[first])
    for number, name in enumerate(tasks.SPLITS):
        tokens = task.batch(0, 0, 4000, name).tokens
        steps = Counter(task.stratum(tokens).tolist())
        here = {number_of[form.tobytes()] for form in task.instances(tokens)}
        assert here <= set(np.flatnonzero(split == number).tolist())
        for stratum_number, stated in enumerate(task.strata()):
            assert abs(steps[stratum_number] / 4000 - stated.chance) < 6 * np.sqrt(stated.chance / 4000)


@pytest.mark.parametrize("varied", [{}, {"degree": 3, "arm": 2, "query": "any"}, *VARIED], ids=str)
def test_the_plateau_is_the_best_guess_from_edges_of_the_start(varied: dict[str, Any]) -> None:
    task = tasks.get("star", nodes=5, **varied)
    every = every_sequence(task)
    right = []
    for edges, goal in every.instances:
        heads = {head for _, head in edges}
        neighbours = [head for tail, head in edges if tail not in heads]
        right.append(1 if goal in neighbours else 1 / len(neighbours))
    chances = dict(task.plateaus("turn"))
    assert chances == (
        {"edges of the start alone": pytest.approx(every.chances @ right)} if task.varies and task.arm > 2 else {}
    )
    assert [role for role in task.roles if role != "turn" and task.plateaus(role)] == []
    assert tasks.get("star", direction="reverse", **varied).plateaus("turn") == {}


def test_arms_and_edges_are_in_random_order() -> None:
    task = tasks.get("star", degree=2, arm=2, nodes=3)
    tokens = task.batch(0, 0, 6000).tokens
    position = (tokens[:, 5:6] == tokens[:, [1, 3]]).argmax(axis=1)
    assert abs(position.mean() - 0.5) < 0.1


def test_newer_settings_at_their_defaults_change_no_instance() -> None:
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
