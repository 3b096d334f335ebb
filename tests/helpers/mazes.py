"""Mazes as graphs of networkx, and all walks on them by brute force."""

import networkx as nx
from hypothesis import strategies as st

from tasks import Batch
from tasks.maze import Maze

SHAPES = st.fixed_dictionaries({"turns": st.integers(1, 3), "detours": st.integers(0, 3), "corridor": st.integers(1, 3)})
"""Settings of mazes."""

Walks = dict[tuple[int, ...], float]


def all_walks(graph: nx.DiGraph, start: int, goal: int, slip: float) -> Walks:
    """Enumerate the walks from the start to an end, a step at a time; return the probability of each."""
    ended: Walks = {}
    open_: Walks = {(start,): 1.0}
    while open_:
        walk, probability = open_.popitem()
        on = sorted(graph.successors(walk[-1]))
        if not on:
            ended[walk] = probability
        right = [node for node in on if nx.has_path(graph, node, goal)]
        for node in on:
            if 0 < len(right) < len(on):
                share = (1 - slip) / len(right) if node in right else slip / (len(on) - len(right))
            else:
                share = 1 / len(on)
            if share:
                open_[*walk, node] = probability * share
    return ended


def value_and_sigma(walks: Walks, prefix: tuple[int, ...], goal: int) -> tuple[float, float]:
    """Compute V_pi and sigma_pi of a prefix as sums over walks."""

    def value(begin: tuple[int, ...]) -> tuple[float, float]:
        through = {walk: q for walk, q in walks.items() if walk[: len(begin)] == begin}
        total = sum(through.values())
        return total, sum(q for walk, q in through.items() if walk[-1] == goal) / total

    mass, here = value(prefix)
    nexts = {walk[: len(prefix) + 1] for walk in walks if walk[: len(prefix)] == prefix and len(walk) > len(prefix)}
    variance = sum(m / mass * (v - here) ** 2 for m, v in map(value, nexts))
    return here, variance**0.5


def graph_of(task: Maze, sequence: Batch) -> tuple[nx.DiGraph, int, int]:
    """Read the map, the start and the goal from the tokens of a sequence."""
    *edges, (start, goal) = sequence.tokens[0, : sequence.answer[0, 0]].reshape(-1, 2).tolist()
    assert len(edges) == task.edges
    return nx.DiGraph(edges), start, goal


def walk_of(sequence: Batch) -> tuple[list[int], int]:
    """Return the nodes of a sequence's walk after the start, and its outcome."""
    begin, end = sequence.answer[0]
    *walk, outcome = sequence.tokens[0, begin:end].tolist()
    return walk, outcome
