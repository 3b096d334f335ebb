"""Mazes as networkx sees them, and every walk on them by brute force."""

import networkx as nx
from hypothesis import strategies as st

from tasks import Batch
from tasks.maze import Maze

SHAPES = st.fixed_dictionaries({"turns": st.integers(1, 3), "detours": st.integers(0, 3), "corridor": st.integers(1, 3)})
"""Settings of mazes."""

Walks = dict[tuple[int, ...], float]


def all_walks(graph: nx.DiGraph, start: int, goal: int, slip: float) -> Walks:
    """Every walk from the start to an end, with its probability: by brute force, a step at a time."""
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
    """V_pi and sigma_pi of a prefix, by adding up walks."""

    def value(begin: tuple[int, ...]) -> tuple[float, float]:
        through = {walk: q for walk, q in walks.items() if walk[: len(begin)] == begin}
        total = sum(through.values())
        return total, sum(q for walk, q in through.items() if walk[-1] == goal) / total

    mass, here = value(prefix)
    nexts = {walk[: len(prefix) + 1] for walk in walks if walk[: len(prefix)] == prefix and len(walk) > len(prefix)}
    variance = sum(m / mass * (v - here) ** 2 for m, v in map(value, nexts))
    return here, variance**0.5


def graph_of(task: Maze, row: Batch) -> tuple[nx.DiGraph, int, int]:
    """The map of a row, its start and its goal, read from the tokens."""
    *edges, (start, goal) = row.tokens[0, : row.answer[0, 0]].reshape(-1, 2).tolist()
    assert len(edges) == task.edges
    return nx.DiGraph(edges), start, goal


def walk_of(row: Batch) -> tuple[list[int], int]:
    """The nodes of a row's walk behind the start, and its outcome."""
    begin, end = row.answer[0]
    *walk, outcome = row.tokens[0, begin:end].tolist()
    return walk, outcome
