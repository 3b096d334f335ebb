import math
from itertools import permutations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from tasks import TaskError
from tasks.core.splits import split_of
from tasks.maze import Maze
from tasks.maze.walks import build_edges, step_probabilities
from tests.helpers.mazes import SHAPES, graph_of, walk_of


def maze(**changed: object) -> Maze:
    task = tasks.get("maze", **{"turns": 2, "nodes": 16, **changed})
    assert isinstance(task, Maze)
    return task


def kind_of(graph: nx.DiGraph, node: int, goal: int) -> str:
    ways = list(graph.successors(node))
    if len(ways) == 1:
        return "forced"
    return "detour" if all(nx.has_path(graph, way, goal) for way in ways) else "turn"


@given(SHAPES, st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_maps_have_their_turns_detours_and_corridors(shape: dict[str, int], seed: int) -> None:
    task = maze(**shape, nodes=40)
    batch = task.draw(np.random.default_rng(seed), 6, "train")
    for number in range(6):
        graph, start, goal = graph_of(task, batch.row(number))
        assert nx.is_directed_acyclic_graph(graph)
        assert len(graph) == task.used
        assert graph.number_of_edges() == task.edges
        kinds = {node: kind_of(graph, node, goal) for node in graph if graph.out_degree(node)}
        choices = [node for node, kind in kinds.items() if kind != "forced"]
        assert [list(kinds.values()).count(kind) for kind in ("turn", "detour")] == [shape["turns"], shape["detours"]]
        distances = [nx.shortest_path_length(graph, start, node) for node in choices]
        assert sorted(distances) == [task.block * j for j in range(len(choices))]
        assert nx.shortest_path_length(graph, start, goal) == task.steps
        for node in choices:
            one, other = graph.successors(node)
            if kinds[node] == "detour":
                assert list(graph.successors(one)) == list(graph.successors(other))
            else:
                (wrong,) = (way for way in (one, other) if not nx.has_path(graph, way, goal))
                reached = nx.single_source_shortest_path_length(graph, wrong)
                assert sorted(reached.values()) == list(range(task.block))  # the corridor ends
                assert goal not in reached


@given(SHAPES, st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_walks_roles_and_outcomes_follow_the_map(shape: dict[str, int], seed: int) -> None:
    task = maze(**shape, nodes=40, slip=0.3)
    batch = task.draw(np.random.default_rng(seed), 6, "train")
    for number in range(6):
        sequence = batch.row(number)
        graph, start, goal = graph_of(task, sequence)
        walk, outcome = walk_of(sequence)
        assert all(graph.has_edge(*step) for step in zip([start, *walk], walk, strict=False))
        assert graph.out_degree(walk[-1]) == 0
        assert task.word(outcome) == ("won" if walk[-1] == goal else "lost")
        expected = [kind_of(graph, node, goal) for node in [start, *walk[:-1]]]
        assert [role for _, role in task.show(sequence)] == ["prompt"] * (2 * task.edges + 2) + [*expected, "outcome"]


def test_slips_have_their_probability_and_detours_are_uniform() -> None:
    task = maze(turns=2, detours=1, slip=0.2)
    batch = task.draw(np.random.default_rng(0), 20_000, "train")
    won = (batch.tokens == task.nodes).any(axis=1)
    assert abs(won.mean() - 0.64) < 4 * math.sqrt(0.64 * 0.36 / 20_000)
    lengths = batch.answer[:, 1] - batch.answer[:, 0] - 1
    turn_first = batch.roles[:, task.sampled_from] == task.role("turn")
    assert abs(turn_first.mean() - 2 / 3) < 4 * math.sqrt(2 / 9 / 20_000)
    lost_at_once = lengths[turn_first] == task.block
    assert abs(lost_at_once.mean() - 0.2) < 4 * math.sqrt(0.16 / turn_first.sum())


def log_distribution(task: Maze, tokens: np.ndarray) -> np.ndarray:
    """Return the walker's own log-probabilities (B, T, V) after tokens of the walk, and uniform ones elsewhere."""
    distribution = np.full((*tokens.shape, task.vocab_size), 1 / task.vocab_size)
    step = step_probabilities(task._maps(tokens), task.slip, task.steps)
    for row, line in enumerate(tokens.tolist()):
        at = line[task.sampled_from - 2]
        for position in range(task.sampled_from - 1, task.length - 1):
            distribution[row, position] = 0
            distribution[row, position, : task.nodes] = step[row, at]
            if not step[row, at].any():
                distribution[row, position, task.nodes + int(at != line[task.sampled_from - 1])] = 1
                break
            at = line[position + 1]
    return np.log(np.maximum(distribution, 1e-30)).astype(np.float32)


@pytest.mark.parametrize("slip", [0.0, 0.1, 0.4])
def test_floors_and_loss_by_importance_match_the_walker(slip: float) -> None:
    task = maze(slip=slip)
    batch = task.draw(np.random.default_rng(2), 2000, "train")
    log_probs = log_distribution(task, batch.tokens)
    losses = -np.take_along_axis(log_probs[:, :-1], batch.tokens[:, 1:, None], axis=2)[:, :, 0]
    for role in ("turn", "detour", "forced", "outcome"):
        measured = losses[batch.roles[:, 1:] == task.role(role)]
        assert abs(measured.mean() - task.floor(role)) < 3 * measured.std() / math.sqrt(len(measured)) + 1e-6, role
    assert task.floor("prompt") is None
    by_sigma = task.compare(batch.tokens, log_probs)
    spread = math.sqrt(slip * (1 - slip))
    assert set(by_sigma) == {f"sigma/{sigma:.2f}" for sigma in (0.0, spread, (1 - slip) * spread)}
    if slip:
        assert min(value for name, value in by_sigma.items() if name != "sigma/0.00") > 0.2
        inside = (batch.roles[:, 1:] > task.role("prompt")) & (batch.roles[:, 1:] != task.role("turn"))
        assert by_sigma["sigma/0.00"] == pytest.approx(losses[inside].mean(), abs=1e-6)


def test_sampled_walks_are_judged_by_their_end() -> None:
    task = maze()
    batch = task.batch(0, 0, 400, "test")
    judged = task.judge(batch.tokens)
    won = (batch.tokens == task.nodes).any(axis=1).mean()
    assert judged == pytest.approx({"goal": won, "dead_end": 1 - won, "astray": 0})
    broken = batch.tokens.copy()
    broken[:100, task.sampled_from + 1] = task.nodes  # an outcome before the end
    broken[100:200, task.sampled_from] = broken[100:200, task.sampled_from - 2]  # a step from the start to itself
    assert task.judge(broken)["astray"] == 0.5
    relabelled = batch.tokens.copy()
    relabelled[relabelled == task.nodes + 1] = task.nodes  # the stated outcome does not change the judgement
    assert task.judge(relabelled) == judged


@pytest.mark.parametrize("derailed", [0.0, 0.2])
def test_with_forced_turns_only_derailed_walks_fail(derailed: float) -> None:
    task = maze(turns=3, detours=2, nodes=24, slip=0.5)
    rng = np.random.default_rng(3)
    tokens = task.batch(0, 0, 300, "test").tokens
    prefix, free_steps = tokens[:, : task.sampled_from], np.zeros(300)
    while prefix.shape[1] < task.length:
        forced = task.forced(prefix)
        assert forced.dtype == np.int64
        drawn = np.empty(300, dtype=np.int64)
        for row, line in enumerate(prefix.tolist()):
            pairs = np.array(line[: task.sampled_from]).reshape(-1, 2)
            at = line[-1] if len(line) > task.sampled_from else pairs[-1, 0]
            ways = pairs[:-1][pairs[:-1, 0] == at, 1]
            drawn[row] = rng.choice(ways) if len(ways) else task.nodes
            if rng.random() < derailed and forced[row] < 0 and len(ways):
                drawn[row] = task.nodes  # not an edge of the map
            free_steps[row] += forced[row] < 0 and len(ways) > 0
        prefix = np.concatenate([prefix, np.where(forced < 0, drawn, forced)[:, None]], axis=1)
    judged = task.judge(prefix)
    assert judged["dead_end"] == 0
    steps_free = task.steps - task.turns
    assert judged["goal"] == pytest.approx((1 - derailed) ** steps_free, abs=0.08 if derailed else 0)


def test_edge_order_and_walk_do_not_change_an_instance() -> None:
    task = maze(turns=1, detours=1, nodes=12)
    edges = ["7,2", "2,9", "9,1", "1,4", "7,6", "6,8", "9,3", "3,4"]
    lines = [
        f"{'|'.join(stated)}/7,4={walk}"
        for stated in (edges, edges[::-1], sorted(edges))
        for walk in ("2,9,1,4 won", "2,9,3,4 won", "6,8 lost")
    ]
    codes = np.concatenate([task.instances(task.parse(line).tokens) for line in lines])
    assert len(np.unique(codes, axis=0)) == 1
    assert len(np.unique(split_of(codes))) == 1
    other_goal = ["7,2", "2,9", "9,1", "1,4", "7,6", "6,5", "9,3", "3,4"]
    changed = task.parse(f"{'|'.join(other_goal)}/7,4=6,5 lost")
    assert not np.array_equal(task.instances(changed.tokens)[0], codes[0])


def test_the_count_is_the_number_of_different_maps() -> None:
    task = maze(turns=1, detours=1, nodes=8)
    ids = np.array(list(permutations(range(8))))
    maps = []
    for at in ([0, 2], [2, 0]):  # offsets of the turn and of the detour
        path, dead, other = ids[:, :5], ids[:, None, 5:7], ids[:, 7:]
        edges = build_edges(path, dead, other, np.tile(at, (len(ids), 1)))
        maps.append(np.concatenate([edges.reshape(len(ids), -1), path[:, [0, -1]]], axis=1))
    assert task.instance_count() == (len(np.unique(task.instances(np.concatenate(maps)), axis=0)), "exact")


def test_only_walks_without_slips_and_detours_are_solved() -> None:
    task = maze(slip=0.0, detours=0)
    batch = task.batch(0, 0, 40, "test")
    for tokens, (begin, end) in zip(batch.tokens, batch.answer, strict=True):
        np.testing.assert_array_equal(task.solve(tokens[:begin]), tokens[begin:end])
    prompt = batch.tokens[0, : task.sampled_from]
    for changed in ({"slip": 0.1, "detours": 0}, {"slip": 0.0, "detours": 1}):
        with pytest.raises(TaskError, match=r"not determined unless maze\.slip and maze\.detours are 0"):
            maze(**changed).solve(prompt)
    with pytest.raises(TaskError, match="a prompt has 18 tokens, not 17"):
        task.solve(prompt[1:])
    with pytest.raises(TaskError, match="nodes below 16"):
        task.solve(np.full_like(prompt, 17))
    with pytest.raises(TaskError, match="no way of 4 steps leads from 3 to 4"):
        task.solve(np.array([*[1, 2] * 8, 3, 4]))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"turns": 0}, "turns must be at least 1"),
        ({"detours": -1}, "detours"),
        ({"corridor": 0}, "corridor must be at least 1"),
        ({"slip": 1.0}, "slip must be at least 0 and below 1"),
        ({"nodes": 11}, "nodes must be at least 12, the nodes of such a map"),
        ({"nodes": 2000}, "nodes must be at most 1000"),
    ],
)
def test_bad_settings_are_rejected_by_name(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        maze(**wrong)
