"""Maps of one-way steps and the walker who takes wrong turns: values of its positions, and what becomes of a walk.

Shapes: B row, E edge, U and V node (from and to).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Maps:
    """One map for each row.

    Attributes:
        ways_BUV: Whether a step leads from a node to another.
        start_B: Where walks begin.
        goal_B: Where they should end.
    """

    ways_BUV: NDArray[np.bool_]
    start_B: NDArray[np.int64]
    goal_B: NDArray[np.int64]

    @classmethod
    def of(cls, edges_BE2: NDArray[np.int64], start_B: NDArray[np.int64], goal_B: NDArray[np.int64], nodes: int) -> Maps:
        """The maps of edges (B, E, 2), each from its first node to its second, ids below `nodes`."""
        ways_BUV = np.zeros((len(edges_BE2), nodes, nodes), dtype=np.bool_)
        ways_BUV[np.arange(len(edges_BE2))[:, None], edges_BE2[:, :, 0], edges_BE2[:, :, 1]] = True
        return cls(ways_BUV, start_B, goal_B)

    def hopeful(self, longest: int) -> NDArray[np.bool_]:
        """(B, U) whether the goal can be reached from a node within `longest` steps."""
        at_goal_BU = np.arange(self.ways_BUV.shape[1]) == self.goal_B[:, None]
        hope_BU: NDArray[np.bool_] = at_goal_BU
        for _ in range(longest):
            hope_BU = at_goal_BU | np.any(self.ways_BUV & hope_BU[:, None, :], axis=2)
        return hope_BU

    def turns(self, longest: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(B, U) whether some ways from a node lead to the goal and others do not, and (B, U, V) the ways that do."""
        right_BUV = self.ways_BUV & self.hopeful(longest)[:, None, :]
        wrong_BUV = self.ways_BUV & ~right_BUV
        return np.logical_and(right_BUV.any(axis=2), wrong_BUV.any(axis=2)), right_BUV


def walker(maps: Maps, slip: float, longest: int) -> NDArray[np.float64]:
    """(B, U, V) the chance of each step: at a turn `slip` for the wrong ways together, else all ways alike; ends have none."""
    turn_BU, right_BUV = maps.turns(longest)

    def evenly(ways_BUV: NDArray[np.bool_]) -> NDArray[np.float64]:
        shares_BUV: NDArray[np.float64] = ways_BUV / np.maximum(ways_BUV.sum(axis=2, keepdims=True), 1)
        return shares_BUV

    at_turn_BUV = (1 - slip) * evenly(right_BUV) + slip * evenly(maps.ways_BUV & ~right_BUV)
    return np.where(turn_BU[:, :, None], at_turn_BUV, evenly(maps.ways_BUV))


def values(maps: Maps, slip: float, longest: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Value and importance of each node (Gloeckle et al. 2024, section 5.1), the reward being 1 for the goal.

    Args:
        maps: Without cycles.
        slip: Chance of a wrong turn.
        longest: Steps of the longest walk.

    Returns:
        V_pi (B, U), the chance that the walker there will reach the goal, and sigma_pi (B, U), the standard deviation of V_pi
        over its next step.
    """
    step_BUV = walker(maps, slip, longest)
    at_goal_BU = (np.arange(step_BUV.shape[1]) == maps.goal_B[:, None]).astype(np.float64)
    value_BU = at_goal_BU
    for _ in range(longest):
        value_BU = at_goal_BU + np.einsum("buv,bv->bu", step_BUV, value_BU)
    spread_BUV = step_BUV * (value_BU[:, None, :] - value_BU[:, :, None]) ** 2  # V is the mean of V over the next step
    return value_BU, np.sqrt(spread_BUV.sum(axis=2))


def places(maps: Maps, steps_BS: NDArray[np.int64]) -> NDArray[np.int64]:
    """Follow walks until they arrive at an end, or take a step that is no way of the map.

    Args:
        maps: Of the rows.
        steps_BS: Nodes after the start; anything may stand behind an end, and ids that are no node are no way.

    Returns:
        (B, S + 1) the node after each number of steps, from the start on: an end from the arrival on, -1 once off the map.
    """
    nodes, row_B = maps.ways_BUV.shape[1], np.arange(len(steps_BS))
    end_BU = np.logical_not(maps.ways_BUV.any(axis=2))
    at_B = maps.start_B
    visited = [at_B]
    for step_B in steps_BS.T:
        arrived_B = (at_B >= 0) & end_BU[row_B, at_B]
        known_B = (step_B >= 0) & (step_B < nodes) & (at_B >= 0)
        on_a_way_B = known_B & maps.ways_BUV[row_B, at_B, np.where(known_B, step_B, 0)]
        at_B = np.where(arrived_B, at_B, np.where(on_a_way_B, step_B, -1))
        visited.append(at_B)
    return np.stack(visited, axis=1)


def told_edges(
    path_BS: NDArray[np.int64], dead_BJL: NDArray[np.int64], other_BJ: NDArray[np.int64], at_BC: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Edges (B, E, 2) of maps: the path's, those to dead ends, and those of the other way of each detour, in this order.

    Args:
        path_BS: Nodes from start to goal.
        dead_BJL: For each turn the nodes that lead to its dead end.
        other_BJ: For each detour the node of its other way.
        at_BC: Steps before each turn, then before each detour.
    """
    turns = dead_BJL.shape[1]
    turn_BJ, detour_BJ = at_BC[:, :turns], at_BC[:, turns:]
    fork_BJ1, before_BJ, joint_BJ = (np.take_along_axis(path_BS, step, axis=1) for step in (turn_BJ, detour_BJ, detour_BJ + 2))
    tails_BJL = np.concatenate([fork_BJ1[:, :, None], dead_BJL[:, :, :-1]], axis=2)
    tails = [path_BS[:, :-1], tails_BJL.reshape(len(path_BS), -1), before_BJ, other_BJ]
    heads = [path_BS[:, 1:], dead_BJL.reshape(len(path_BS), -1), other_BJ, joint_BJ]
    return np.stack([np.concatenate(tails, axis=1), np.concatenate(heads, axis=1)], axis=2)
