"""Path-star graphs by brute force: enumeration of all sequences of small settings."""

import itertools
import math
from typing import Any, NamedTuple

import networkx as nx
import numpy as np

from tasks import Task

FORMS = [(form, direction) for form in ("short", "public") for direction in ("forward", "reverse")]
VARIED: list[dict[str, Any]] = [{"query": "any"}, {"shortest_arm": 2}, {"query": "any", "shortest_arm": 2}]
"""Settings for which paths, or graphs, differ in size."""


class Sequences(NamedTuple):
    """All sequences of a task, enumerated in plain loops.

    Attributes:
        tokens: (N, T).
        chances: (N,) the probability of each sequence.
        instances: The set of edges and the goal of each sequence.
        steps: The number of steps from the start to the goal of each sequence.
    """

    tokens: np.ndarray
    chances: np.ndarray
    instances: list[tuple[frozenset[tuple[int, int]], int]]
    steps: np.ndarray


def tokens_of(task: Task, edges: list[tuple[int, int]], path: list[int]) -> list[int]:
    """Return the sequence of a graph in the task's form, from its path from start to goal; the last token fills the rest."""
    walk = path if task.direction == "forward" else path[::-1]
    bar, slash, equals = range(task.nodes, task.nodes + 3)
    if task.form == "short":
        tokens = [*(node for edge in edges for node in edge), path[0], path[-1], *walk[1:]]
    else:
        tokens = [*[token for edge in edges for token in (*edge, bar)][:-1], slash, path[0], path[-1], equals, *walk]
    return tokens + tokens[-1:] * (task.length - len(tokens))


def every_sequence(task: Task) -> Sequences:
    """Enumerate all sequences of a task with few nodes; the goal is on the first arm."""
    shortest = task.shortest_arm or task.arm
    tokens, chances, instances, steps = [], [], [], []
    for lengths in itertools.product(range(shortest - 1, task.arm), repeat=task.degree):
        of_lengths = 1 / (task.arm - shortest + 1) ** task.degree
        for ids in itertools.permutations(range(task.nodes), 1 + sum(lengths)):
            ends = [1, *(1 + sum(lengths[: number + 1]) for number in range(task.degree))]
            arms = [[ids[0], *ids[begin:end]] for begin, end in itertools.pairwise(ends)]
            edges = [edge for arm in arms for edge in itertools.pairwise(arm)]
            goals = range(1, len(arms[0])) if task.query == "any" else [len(arms[0]) - 1]
            for goal in goals:
                for order in itertools.permutations(edges):
                    tokens.append(tokens_of(task, list(order), arms[0][: goal + 1]))
                    instances.append((frozenset(edges), arms[0][goal]))
                    steps.append(goal)
                    of_ids = 1 / math.perm(task.nodes, len(ids)) / math.factorial(len(edges))
                    chances.append(of_lengths * of_ids / len(goals))
    return Sequences(np.array(tokens), np.array(chances), instances, np.array(steps))


def graph_of(line: str) -> tuple[nx.Graph, int, int, list[int]]:
    """Return the graph, start, goal and path of a line."""
    edges, rest = line.split("/")
    ends, path = rest.split("=")
    start, goal = map(int, ends.split(","))
    return (
        nx.Graph(tuple(map(int, edge.split(","))) for edge in edges.split("|")),
        start,
        goal,
        [int(word) for word in path.split(",")],
    )
