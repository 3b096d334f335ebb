"""Maps of one-way steps, and a random walker that sometimes takes wrong turns: the values of nodes, and walks.

Shapes: B sequences, E edges, S steps, U and V nodes (from and to), C choices, J turns or detours, L steps to a dead end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", np.int64, np.float64)


@dataclass(frozen=True)
class Maps:
    """One map for each sequence.

    Attributes:
        ways_BUV: Whether a step leads from node u to node v.
        start_B: The node at which walks begin.
        goal_B: The end that wins.
    """

    ways_BUV: NDArray[np.bool_]
    start_B: NDArray[np.int64]
    goal_B: NDArray[np.int64]

    @classmethod
    def from_edges(
        cls, edges_BE2: NDArray[np.int64], start_B: NDArray[np.int64], goal_B: NDArray[np.int64], nodes: int
    ) -> Maps:
        """Build maps from edges (B, E, 2), each from its first node to its second, with ids below `nodes`."""
        ways_BUV = np.zeros((len(edges_BE2), nodes, nodes), dtype=np.bool_)
        ways_BUV[np.arange(len(edges_BE2))[:, None], edges_BE2[:, :, 0], edges_BE2[:, :, 1]] = True
        return cls(ways_BUV, start_B, goal_B)

    def can_win(self, longest: int) -> NDArray[np.bool_]:
        """Return whether the goal can be reached from each node within `longest` steps, (B, U)."""
        return count_steps(self, longest) >= 0

    def turns(self, longest: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return whether some but not all ways from a node lead to the goal, (B, U), and the ways that do, (B, U, V)."""
        right_BUV = self.ways_BUV & self.can_win(longest)[:, None, :]
        wrong_BUV = self.ways_BUV & ~right_BUV
        return np.logical_and(right_BUV.any(axis=2), wrong_BUV.any(axis=2)), right_BUV


def count_steps(maps: Maps, longest: int) -> NDArray[np.int64]:
    """Compute the fewest steps from each node to the goal, (B, U); -1 if it cannot be reached within `longest` steps."""
    steps_BU = np.where(np.arange(maps.ways_BUV.shape[1]) == maps.goal_B[:, None], 0, -1)
    for step in range(1, longest + 1):
        leads_on_BU = np.any(maps.ways_BUV & (steps_BU == step - 1)[:, None, :], axis=2)
        steps_BU[leads_on_BU & (steps_BU < 0)] = step
    return steps_BU


def step_probabilities(maps: Maps, slip: float, longest: int) -> NDArray[np.float64]:
    """Compute the probability of each step, (B, U, V): `slip` for the wrong ways of a turn, elsewhere uniform, 0 at ends."""
    turn_BU, right_BUV = maps.turns(longest)

    def uniform(ways_BUV: NDArray[np.bool_]) -> NDArray[np.float64]:
        shares_BUV: NDArray[np.float64] = ways_BUV / np.maximum(ways_BUV.sum(axis=2, keepdims=True), 1)
        return shares_BUV

    at_turn_BUV = (1 - slip) * uniform(right_BUV) + slip * uniform(maps.ways_BUV & ~right_BUV)
    return np.where(turn_BU[:, :, None], at_turn_BUV, uniform(maps.ways_BUV))


def compute_values(maps: Maps, slip: float, longest: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the value and importance of each node (Gloeckle et al. 2024, section 5.1), with reward 1 for the goal.

    Args:
        maps: Without cycles.
        slip: Probability of a wrong turn.
        longest: Steps of the longest walk.

    Returns:
        V_pi (B, U), the probability that the walker reaches the goal from each node, and sigma_pi (B, U), the standard
        deviation of V_pi over its next step.
    """
    step_BUV = step_probabilities(maps, slip, longest)
    at_goal_BU = (np.arange(step_BUV.shape[1]) == maps.goal_B[:, None]).astype(np.float64)
    value_BU = at_goal_BU
    for _ in range(longest):
        value_BU = at_goal_BU + np.einsum("buv,bv->bu", step_BUV, value_BU)
    spread_BUV = step_BUV * (value_BU[:, None, :] - value_BU[:, :, None]) ** 2  # V is the mean of V over the next step
    return value_BU, np.sqrt(spread_BUV.sum(axis=2))


def follow_walks(maps: Maps, steps_BS: NDArray[np.int64]) -> NDArray[np.int64]:
    """Follow walks until they reach an end or take a step that is not on the map.

    Args:
        maps: The maps of the sequences.
        steps_BS: Ids after the start; any may follow an end, and ids that are not nodes are off the map.

    Returns:
        (B, S + 1) the node after 0, 1, ... S steps; a walk stays at an end, and is at -1 after it has left the map.
    """
    nodes, row_B = maps.ways_BUV.shape[1], np.arange(len(steps_BS))
    end_BU = np.logical_not(maps.ways_BUV.any(axis=2))
    at_B = maps.start_B
    visited = [at_B]
    for step_B in steps_BS.T:
        arrived_B = (at_B >= 0) & end_BU[row_B, at_B]
        is_node_B = (step_B >= 0) & (step_B < nodes) & (at_B >= 0)
        on_map_B = is_node_B & maps.ways_BUV[row_B, at_B, np.where(is_node_B, step_B, 0)]
        at_B = np.where(arrived_B, at_B, np.where(on_map_B, step_B, -1))
        visited.append(at_B)
    return np.stack(visited, axis=1)


def along_walks(of_node_BU: NDArray[Number], at_BS: NDArray[np.int64], otherwise: float) -> NDArray[Number]:
    """Return a quantity of the nodes along walks from `follow_walks`, (B, S + 1), and `otherwise` off the map."""
    of_walk_BS = np.take_along_axis(of_node_BU, np.maximum(at_BS, 0), axis=1)
    of_walk_BS[at_BS < 0] = otherwise
    return of_walk_BS


def build_edges(
    path_BS: NDArray[np.int64], dead_BJL: NDArray[np.int64], other_BJ: NDArray[np.int64], at_BC: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Build the edges of maps, (B, E, 2): those of the path, of the ways to dead ends, and of the other ways of detours.

    Args:
        path_BS: Nodes from start to goal, (B, S + 1).
        dead_BJL: Nodes on the way to the dead end of each turn.
        other_BJ: Node of the other way of each detour.
        at_BC: Number of steps before each turn, then before each detour.
    """
    turns = dead_BJL.shape[1]
    turn_BJ, detour_BJ = at_BC[:, :turns], at_BC[:, turns:]
    fork_BJ1, before_BJ, joint_BJ = (np.take_along_axis(path_BS, step, axis=1) for step in (turn_BJ, detour_BJ, detour_BJ + 2))
    tails_BJL = np.concatenate([fork_BJ1[:, :, None], dead_BJL[:, :, :-1]], axis=2)
    tails = [path_BS[:, :-1], tails_BJL.reshape(len(path_BS), -1), before_BJ, other_BJ]
    heads = [path_BS[:, 1:], dead_BJL.reshape(len(path_BS), -1), other_BJ, joint_BJ]
    return np.stack([np.concatenate(tails, axis=1), np.concatenate(heads, axis=1)], axis=2)


def draw_walks(
    rng: np.random.Generator,
    path_BS: NDArray[np.int64],
    dead_BJL: NDArray[np.int64],
    other_BJ: NDArray[np.int64],
    at_BC: NDArray[np.int64],
    slip: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw walks that may slip at turns into a dead end, and take either way of a detour.

    Args:
        rng: Source of randomness.
        path_BS: Nodes after the start, up to the goal.
        dead_BJL: Nodes on the way to the dead end of each turn.
        other_BJ: Node of the other way of each detour.
        at_BC: Number of steps before each turn, then before each detour.
        slip: Probability of the wrong way at a turn.

    Returns:
        Walks (B, S), whose nodes after the end are arbitrary, and the number of steps of each (B,).
    """
    size, turns, block = dead_BJL.shape
    turn_BJ, detour_BJ, steps = at_BC[:, :turns], at_BC[:, turns:], path_BS.shape[1]
    row_B1, walk_BS = np.arange(size)[:, None], path_BS.copy()
    aside_BJ = rng.random(other_BJ.shape) < 1 / 2
    walk_BS[row_B1, detour_BJ] = np.where(aside_BJ, other_BJ, path_BS[row_B1, detour_BJ])
    slip_BJ = np.where(rng.random(turn_BJ.shape) < slip, turn_BJ, steps)
    slip_B, turn_B = slip_BJ.min(axis=1), slip_BJ.argmin(axis=1)
    lost = np.flatnonzero(slip_B < steps)
    walk_BS[lost[:, None], slip_B[lost, None] + np.arange(block)] = dead_BJL[lost, turn_B[lost]]
    return walk_BS, np.minimum(slip_B + block, steps)
