"""Answers of star graphs to instruments: joints, contrasts, latents, consistency."""

from typing import Any

import networkx as nx
import numpy as np
import pytest

import tasks
from tests.helpers.enumeration import assert_joints_are_exact
from tests.helpers.stars import FORMS, VARIED, every_sequence, graph_of, tokens_of


@pytest.mark.parametrize(("form", "direction"), FORMS)
@pytest.mark.parametrize("varied", [{}, *VARIED], ids=str)
def test_joints_after_the_last_edge_agree_with_enumeration(varied: dict[str, Any], form: str, direction: str) -> None:
    """Joints are known from the last edge of the largest graph, which has four edges."""
    task = tasks.get("star", nodes=5, form=form, direction=direction, **varied)
    every = every_sequence(task)
    last_edge = 7 if form == "short" else 10
    assert_joints_are_exact(task, every.tokens, every.chances, range(last_edge, task.length - 2))
    assert task.joint(task.rows(every.tokens, np.ones_like(every.tokens)), last_edge - 1) is None


@pytest.mark.parametrize(("form", "direction"), FORMS)
@pytest.mark.parametrize("varied", [{}, *VARIED], ids=str)
def test_a_contrast_is_the_path_to_a_goal_on_another_arm(varied: dict[str, Any], form: str, direction: str) -> None:
    """Only reversed sequences in the short form can lack one: the other arm may have no goal with a different predecessor."""
    task = tasks.get("star", arm=4, form=form, direction=direction, **varied)
    batch = task.batch(0, 0, 80)
    contrast = task.contrast(batch)
    assert len(contrast.sequence) == 80 or (varied and (form, direction) == ("short", "reverse"))
    for number, new, *positions in zip(contrast.sequence, contrast.tokens, contrast.changed, contrast.answer, strict=True):
        old, begin = batch.tokens[number], batch.answer[number, 0]
        graph, start, goal, path = graph_of(task.format(batch.row(number)))
        found = task.solve(new[:begin])
        np.testing.assert_array_equal(new[begin:], [*found, *found[-1:].repeat(task.length - begin - len(found))])
        changed = begin - (1 if form == "short" else 2)
        other = graph_of(task.format(task.rows(new[None], 0 * new[None], batch.answer[[number]])))[2]
        assert start in nx.shortest_path(graph, goal, other)
        assert (new[changed], old[changed]) == (other, goal)
        assert positions == [changed, np.flatnonzero(old != new)[1]]
        assert path != found.tolist()
    for number in np.setdiff1d(np.arange(80), contrast.sequence):
        graph, start, goal, _ = graph_of(task.format(batch.row(number)))
        leaves = [node for node in graph if graph.degree[node] == 1 and node != goal]
        assert graph.has_edge(start, goal)
        assert task.query == "any" or all(graph.has_edge(start, leaf) for leaf in leaves)


def test_reversed_paths_of_one_step_have_no_contrast() -> None:
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
    ("form", "direction", "unknown", "following", "left"),
    [
        ("short", "forward", 7, [8, 2], [2, 1]),
        ("short", "reverse", 7, [8, 7], [2, 1]),
        ("public", "forward", 10, [7, 7, 8, 2], [3, 3, 2, 1]),
        ("public", "reverse", 10, [2, 2, 8, 7], [3, 3, 2, 1]),
    ],
)
def test_latents_end_with_the_path(form: str, direction: str, unknown: int, following: list[int], left: list[int]) -> None:
    """The arms are 7 8 2 and 7 5, of at most four nodes; the goal is 2."""
    task = tasks.get("star", arm=4, shortest_arm=2, form=form, direction=direction)
    tokens = np.array([tokens_of(task, [(8, 2), (7, 5), (7, 8)], [7, 8, 2])])
    known = task.length - unknown
    after = known - len(following)
    expected = {"goal": [2] * known, "turn": [8] * known}
    expected |= {"next node": following + [-1] * after, "nodes left": left + [0] * after}
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
    """The arms are 7 3 1 and 7 2 5; the goal is 1."""
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
    """The arms are 7 8 2 and 7 5, of at most four nodes; the goal is 2."""
    task = tasks.get("star", arm=4, shortest_arm=2, form=form, direction=direction)
    tokens = np.array([tokens_of(task, [(8, 2), (7, 5), (7, 8)], [7, 8, 2])])
    begin = 8 if form == "short" else 12
    tokens[0, begin:] = [*path, *[9] * (task.length - begin - len(path))]
    np.testing.assert_array_equal(np.flatnonzero(~task.consistent(tokens)[0]) - begin, wrong)
