import networkx as nx
import numpy as np
import pytest

import tasks
from tasks.core.batch import join
from tasks.maze import Maze
from tests.helpers.mazes import all_walks, graph_of, value_and_sigma, walk_of


def maze(**settings: object) -> Maze:
    task = tasks.get("maze", **settings)
    assert isinstance(task, Maze)
    return task


@pytest.mark.parametrize("shape", [{}, {"turns": 1, "detours": 2, "corridor": 2}, {"slip": 0.0, "detours": 0}, {"slip": 0.7}])
def test_values_and_importances_agree_with_all_walks(shape: dict[str, float]) -> None:
    task = maze(**{"turns": 2, "nodes": 16, **shape})
    batch = task.draw(np.random.default_rng(1), 12, "train")
    value_BT, sigma_BT = task.values(batch.tokens)
    assert value_BT.shape == sigma_BT.shape == batch.tokens.shape
    for number in range(12):
        sequence = batch.row(number)
        graph, start, goal = graph_of(task, sequence)
        walks = all_walks(graph, start, goal, task.slip)
        assert len(walks) > 1 or task.determined
        stated = (start, *walk_of(sequence)[0])
        for steps in range(len(stated)):
            at = task.sampled_from - 1 + steps
            value, sigma = value_and_sigma(walks, stated[: steps + 1], goal)
            assert value_BT[number, at] == pytest.approx(value, abs=1e-12)
            assert sigma_BT[number, at] == pytest.approx(sigma, abs=1e-9)
        assert value_BT[number, -1] == (stated[-1] == goal)  # the value at the outcome and after it
        assert (sigma_BT[number, task.sampled_from - 1 + len(stated) :] == 0).all()
    before = slice(0, task.sampled_from - 1)
    assert np.allclose(value_BT[:, before], (1 - task.slip) ** task.turns)
    assert (sigma_BT[:, before] == 0).all()


SHAPES = pytest.mark.parametrize(
    "shape", [{}, {"turns": 2, "nodes": 16, "slip": 0.3}, {"detours": 0, "corridor": 2, "slip": 0.0}]
)


@SHAPES
def test_joints_along_walks_agree_with_all_walks(shape: dict[str, float]) -> None:
    task = maze(**shape)
    batch = task.draw(np.random.default_rng(1), 12, "train")
    begin = task.sampled_from
    assert task.joint(batch, begin - 2) is None
    for position in range(begin - 1, task.length - 2):
        every = task.joint(batch, position)
        for number in range(12):
            graph, start, goal = graph_of(task, batch.row(number))
            exact = np.zeros((task.vocab_size, task.vocab_size))
            for walk, chance in all_walks(graph, start, goal, task.slip).items():
                outcome = task.nodes + int(walk[-1] != goal)
                written = [*walk[1:], *[outcome] * task.length][: task.steps + 1]
                if written[: position + 1 - begin] == batch.tokens[number, begin : position + 1].tolist():
                    exact[tuple(written[position + 1 - begin : position + 3 - begin])] += chance
            np.testing.assert_allclose(every[number], exact / exact.sum(), atol=1e-12)


@SHAPES
def test_latents_along_walks_agree_with_the_map(shape: dict[str, float]) -> None:
    task = maze(**shape)
    batch = task.draw(np.random.default_rng(2), 24, "train")
    latents = task.latents(batch)
    np.testing.assert_array_equal([latents[name][:, :, 0] for name in ("value", "sigma")], task.values(batch.tokens))
    choice, distance = latents["choice"], latents["distance to the goal"]
    assert (choice[:, : task.sampled_from - 1] == -1).all()
    for number in range(24):
        sequence = batch.row(number)
        graph, start, goal = graph_of(task, sequence)
        shown = [role for _, role in task.show(sequence)][task.sampled_from :]
        for t, node in enumerate([start, *walk_of(sequence)[0]], start=task.sampled_from - 1):
            expected = nx.shortest_path_length(graph, node, goal) if nx.has_path(graph, node, goal) else -1
            assert distance[number, t] == expected
            kinds = ("forced", "turn", "detour")
            role = shown[t + 1 - task.sampled_from]
            assert choice[number, t] == (kinds.index(role) if role in kinds else -1)


TURN_LAST = "7,2|2,9|7,3|3,9|9,1|1,4|9,6|6,8/7,4="
DETOUR_LAST = "7,2|2,9|9,1|1,4|7,6|6,8|9,3|3,4/7,4="


def test_a_contrast_moves_the_goal_to_the_other_end() -> None:
    task = maze()
    lines = [DETOUR_LAST + "2,9,1,4 won", TURN_LAST + "2,9,1,4 won", TURN_LAST + "3,9,6,8 lost"]
    contrast = task.contrast(join([task.parse(line) for line in lines]))
    assert contrast.sequence.tolist() == [1, 2]
    assert contrast.changed.tolist() == [17, 17]
    assert contrast.answer.tolist() == [20, 20]
    moved = TURN_LAST.replace("/7,4", "/7,8")
    expected = [task.parse(moved + walk).tokens[0] for walk in ("2,9,6,8 won", "3,9,1,4 lost")]
    np.testing.assert_array_equal(contrast.tokens, expected)


def test_walks_that_end_at_an_earlier_turn_have_no_contrast() -> None:
    task = maze(turns=2, detours=0, slip=0.4)
    batch = task.batch(0, 0, 200)
    lengths = batch.answer[:, 1] - batch.answer[:, 0] - 1
    np.testing.assert_array_equal(task.contrast(batch).sequence, np.flatnonzero(lengths == task.steps))


@pytest.mark.parametrize(
    ("walk", "wrong"),
    [
        ("2,9,1,4,won", []),
        ("3,9,6,8,lost", []),
        ("3,9,6,8,won", [4]),
        ("2,9,4,won,won", [2]),
        ("6,8,lost,lost,lost", [0]),
        ("2,9,lost,1,4", [2]),
        ("2,7,2,9,6", [1]),
        ("2,9,5,lost,lost", [2, 3]),
        ("5,5,5,5,5", [0, 1, 2, 3, 4]),
        ("won,2,9,1,4", [0]),
    ],
)
def test_steps_are_consistent_with_the_token_before(walk: str, wrong: list[int]) -> None:
    task = maze()
    tokens = task.parse(TURN_LAST + "2,9,1,4 won").tokens
    ids = {**{str(node): node for node in range(10)}, "won": 10, "lost": 11}
    tokens[0, task.sampled_from :] = [ids[word] for word in walk.split(",")]
    found = task.consistent(tokens)
    assert found[0, : task.sampled_from].all()
    assert np.flatnonzero(~found[0, task.sampled_from :]).tolist() == wrong
