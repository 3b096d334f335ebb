"""Follow edges and find arms in graphs that are given as edges, one graph for each sequence.

Shapes: B sequences, E edges, V token ids, D arms, M nodes of an arm without the centre, A nodes of the longest arm with it. An
edge is two tokens below V; a missing edge is (V, V).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Graphs:
    """A graph with a path from its centre, for each sequence.

    Attributes:
        edges_BE2: The edges in the order in which they are written, and then the missing ones.
        count_B: The number of edges.
        path_BA: The nodes of the path from the centre to the goal, which fills the rest.
        steps_B: The number of edges of the path.
    """

    edges_BE2: Ints
    count_B: Ints
    path_BA: Ints
    steps_B: Ints


def arrows(edges_BE2: Ints, tokens: int) -> Ints:
    """Return the token to which an edge leads from each token, (B, V + 1); V from V, and where no edge leads on.

    Args:
        edges_BE2: Edges, at most one from each token.
        tokens: V.
    """
    arrows_BV = np.full((len(edges_BE2), tokens + 1), tokens)
    np.put_along_axis(arrows_BV, edges_BE2[:, :, 0], edges_BE2[:, :, 1], axis=1)
    return arrows_BV


def occurring(nodes_BE: Ints, tokens: int) -> NDArray[np.bool_]:
    """Return whether each token is among the nodes (B, E), (B, V)."""
    return np.asarray((nodes_BE[:, :, None] == np.arange(tokens)).any(axis=1))


def trace_back(edges_BE2: Ints, goal_B: Ints, longest: int, tokens: int) -> tuple[Ints, Ints]:
    """Follow edges backwards from each goal, for `longest` steps at most, to a node without an edge to it.

    Returns:
        The nodes from there to the goal, which fills the rest, (B, longest + 1), and the number of steps (B,).
    """
    back_BV, row_B = arrows(edges_BE2[:, :, ::-1], tokens), np.arange(len(goal_B))
    walk = [goal_B]
    for _ in range(longest):
        walk.append(back_BV[row_B, walk[-1]])
    walk_BA = np.stack(walk, axis=1)
    steps_B = (walk_BA < tokens).sum(axis=1) - 1
    reversed_BA = np.maximum(steps_B[:, None] - np.arange(longest + 1), 0)
    return np.take_along_axis(walk_BA, reversed_BA, axis=1), steps_B


def find_turns(edges_BE2: Ints, longest: int, tokens: int) -> Ints:
    """Return the first node of the arm of each node, (B, V); V for the centre and for tokens that are not nodes.

    Args:
        edges_BE2: Edges of stars.
        longest: Number of edges of the longest arm.
        tokens: V.
    """
    back_BV = arrows(edges_BE2[:, :, ::-1], tokens)
    turn_BV = np.where(back_BV < tokens, np.arange(tokens + 1), tokens)
    for _ in range(longest - 1):
        before_BV = np.take_along_axis(back_BV, turn_BV, axis=1)
        is_inner_BV = np.take_along_axis(back_BV, before_BV, axis=1) < tokens
        turn_BV = np.where(is_inner_BV, before_BV, turn_BV)
    return turn_BV[:, :tokens]


def list_arms(edges_BE2: Ints, centre_B: Ints, *, degree: int, longest: int, tokens: int) -> Ints:
    """Return the nodes of each arm of stars in order, without the centre, (B, D, M); V after the end of an arm.

    Args:
        edges_BE2: Edges of stars.
        centre_B: Centres of the stars.
        degree: D, the number of arms.
        longest: M, the number of edges of the longest arm.
        tokens: V.
    """
    first_BE = edges_BE2[:, :, 0] == centre_B[:, None]
    next_BV, nodes = arrows(edges_BE2, tokens), [edges_BE2[:, :, 1][first_BE].reshape(-1, degree)]
    for _ in range(longest - 1):
        nodes.append(np.take_along_axis(next_BV, nodes[-1], axis=1))
    return np.stack(nodes, axis=2)
