import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.maze.walks import Maps, compute_values, count_steps, follow_walks, step_probabilities
from tests.helpers.mazes import all_walks, value_and_sigma


@st.composite
def mazes(draw: st.DrawFn) -> tuple[list[tuple[int, int]], int]:
    """Draw an acyclic map of up to 7 nodes that starts at node 0, with the goal among its ends."""
    nodes = draw(st.integers(3, 7))
    edges = {(draw(st.integers(0, node - 1)), node) for node in range(1, nodes)}
    edges |= {tuple(sorted(draw(st.lists(st.integers(0, nodes - 1), min_size=2, max_size=2, unique=True)))) for _ in range(3)}
    ends = [node for node in range(nodes) if not any(tail == node for tail, _ in edges)]
    return sorted(edges), draw(st.sampled_from(ends))


@given(mazes(), st.sampled_from([0.0, 0.1, 0.5, 0.9]))
@settings(max_examples=60, deadline=None)
def test_values_on_any_map_agree_with_all_walks(drawn: tuple[list[tuple[int, int]], int], slip: float) -> None:
    edges, goal = drawn
    graph = nx.DiGraph(edges)
    walks = all_walks(graph, 0, goal, slip)
    assert sum(walks.values()) == pytest.approx(1)
    maps = Maps.from_edges(np.array([edges]), np.array([0]), np.array([goal]), nodes=8)
    value_BU, sigma_BU = compute_values(maps, slip, longest=8)
    for walk in walks:
        for end in range(1, len(walk) + 1):
            value, sigma = value_and_sigma(walks, walk[:end], goal)
            node = walk[end - 1]
            assert value_BU[0, node] == pytest.approx(value, abs=1e-12)
            assert sigma_BU[0, node] == pytest.approx(sigma, abs=1e-9)
    hopeful = maps.can_win(8)[0]
    assert all(hopeful[node] == nx.has_path(graph, node, goal) for node in graph)
    fewest = nx.single_target_shortest_path_length(graph, goal)
    assert count_steps(maps, 8)[0, : len(graph)].tolist() == [dict(fewest).get(node, -1) for node in range(len(graph))]


def test_the_walker_slips_at_turns_alone_and_stops_at_ends() -> None:
    edges = [[0, 1], [0, 2], [2, 3], [2, 4], [3, 5], [4, 5]]  # a dead end at 1; then two ways that join at the goal
    step_UV = step_probabilities(Maps.from_edges(np.array([edges]), np.array([0]), np.array([5]), nodes=6), 0.2, longest=3)[0]
    expected = {(0, 1): 0.2, (0, 2): 0.8, (2, 3): 0.5, (2, 4): 0.5, (3, 5): 1.0, (4, 5): 1.0}
    for tail in range(6):
        for head in range(6):
            assert step_UV[tail, head] == pytest.approx(expected.get((tail, head), 0.0))


def test_walks_are_followed_until_they_arrive_or_leave_the_map() -> None:
    edges = [[0, 1], [1, 2], [0, 3]]
    maps = Maps.from_edges(np.array([edges] * 5), np.zeros(5, dtype=int), np.full(5, 2), nodes=4)
    steps = np.array([[1, 2, 9], [3, 1, 2], [2, 1, 2], [1, 7, 2], [1, -1, 2]])
    assert follow_walks(maps, steps).tolist() == [[0, 1, 2, 2], [0, 3, 3, 3], [0, -1, -1, -1], [0, 1, -1, -1], [0, 1, -1, -1]]
    assert follow_walks(maps, steps[:, :0]).tolist() == [[0]] * 5
