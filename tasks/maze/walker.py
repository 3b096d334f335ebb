"""A random walker in a maze: its settings, and the quantities that a map and the beginning of a walk determine.

Shapes: B sequences, T positions, S steps, E edges, U and V nodes (from and to; in a distribution V is the vocabulary), C
sequences of a contrast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.core.base import Batch, Task
from tasks.core.insight import Contrast
from tasks.maze.walks import Maps, along_walks, compute_values, count_steps, follow_walks, step_probabilities
from tasks.settings import require


@dataclass(frozen=True, kw_only=True)
class Walker(Task):
    """Sequences of a map as edges, start and goal, a walk and its outcome; a corridor follows each choice."""

    turns: int = 1
    """Number of choices that matter: one of the two ways ends in a dead end."""
    detours: int = 1
    """Number of choices that do not matter: the two ways join after one step. Turns and detours come in any order."""
    corridor: int = 1
    """Forced steps after every choice, also on the way to a dead end."""
    slip: float = 0.1
    """Probability that the walker takes the wrong way at a turn; it then walks to the dead end."""
    nodes: int = 10
    """Number of node ids to choose from."""

    def check(self) -> None:
        require(self.turns >= 1, "maze.turns", self.turns, "at least 1")
        require(self.detours >= 0, "maze.detours", self.detours, "at least 0")
        require(self.corridor >= 1, "maze.corridor", self.corridor, "at least 1")
        require(0 <= self.slip < 1, "maze.slip", self.slip, "at least 0 and below 1")
        require(self.nodes <= 1000, "maze.nodes", self.nodes, "at most 1000")
        require(self.nodes >= self.used, "maze.nodes", self.nodes, f"at least {self.used}, the nodes of such a map")

    @property
    def block(self) -> int:
        """Steps from one choice to the next."""
        return 1 + self.corridor

    @property
    def steps(self) -> int:
        """S, steps of the walk from start to goal, the longest."""
        return (self.turns + self.detours) * self.block

    @property
    def used(self) -> int:
        """U, number of nodes of a map."""
        return 1 + self.steps + self.turns * self.block + self.detours

    @property
    def edges(self) -> int:
        """E, number of edges of a map."""
        return self.steps + self.turns * self.block + 2 * self.detours

    @property
    def vocab_size(self) -> int:
        """Number of node ids, and two for `won` and `lost`."""
        return self.nodes + 2

    @property
    def length(self) -> int:
        """Tokens of map, start, goal, the longest walk and its outcome."""
        return self.sampled_from + self.steps + 1

    @property
    def longest_answer(self) -> int:
        return self.steps + 1

    @property
    def sampled_from(self) -> int:
        """The first position of walks: a model walks on the maps of the evaluation sequences."""
        return 2 * self.edges + 2

    def values(self, tokens: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Compute V_pi and sigma_pi of every prefix exactly (Gloeckle et al. 2024, section 5.1), with reward 1 for the goal.

        Before the map is complete, V is (1 - slip)^turns and sigma is 0, since all maps have the same value. After a walk has
        left its map or reached an end, V is 0 or 1 and sigma is 0.

        Args:
            tokens: (B, T) ids, of the data or sampled.

        Returns:
            V_pi(x_{t:1}) (B, T), the probability that the walker reaches the goal given the tokens up to position t, and
            sigma_pi(x_{t:1}) (B, T), the standard deviation of V_pi over the token at t + 1.
        """
        maps, at_BS = self._follow(tokens)
        value_BS, sigma_BS = (along_walks(of_node_BU, at_BS, 0.0) for of_node_BU in compute_values(maps, self.slip, self.steps))
        before = np.full((len(tokens), self.sampled_from - 1), (1 - self.slip) ** self.turns)
        return np.concatenate([before, value_BS], axis=1), np.concatenate([0 * before, sigma_BS], axis=1)

    def contrast(self, batch: Batch) -> Contrast:
        """Move the goal to the other end of the last choice, if that is a turn; the answer is the step at this turn.

        Maps whose last choice is a detour and walks that end at an earlier turn are left out. A walk that slips at this turn
        also does so in the changed sequence.
        """
        begin, fork = self.sampled_from, self.steps - self.block
        maps, at_BS = self._follow(batch.tokens)
        turn_BU, _ = maps.turns(self.steps)
        sequence_C = np.flatnonzero(turn_BU[np.arange(len(batch)), at_BS[:, fork]])
        at_CS, ways_CUV, row_C = at_BS[sequence_C], maps.ways_BUV[sequence_C], np.arange(len(sequence_C))
        ways_CUV[row_C, at_CS[:, fork], at_CS[:, fork + 1]] = False
        other = [at_CS[:, fork]]
        for _ in range(self.block):
            other.append(ways_CUV[row_C, other[-1]].argmax(axis=1))
        tokens_CT = batch.tokens[sequence_C]
        end_C, goal_C = at_CS[:, self.steps], maps.goal_B[sequence_C]
        tokens_CT[:, begin - 1] = np.where(end_C == goal_C, other[-1], end_C)
        tokens_CT[:, begin + fork : begin + self.steps] = np.stack(other[1:], axis=1)
        changed_C = np.full(len(sequence_C), begin - 1)
        return Contrast(sequence=sequence_C, tokens=tokens_CT, changed=changed_C, answer=changed_C + 1 + fork)

    def latents(self, batch: Batch) -> Mapping[str, NDArray[np.generic]]:
        """Return `value` and `sigma` as in `values`, and along the walk the `choice` and the `distance to the goal`.

        The choice at the present node is 0 for a forced step, 1 for a turn and 2 for a detour. The distance is in steps, and -1
        if no way leads to the goal.
        """
        value_BT, sigma_BT = self.values(batch.tokens)
        maps, at_BS = self._follow(batch.tokens)
        ways_BU, (turn_BU, _) = maps.ways_BUV.sum(axis=2), maps.turns(self.steps)
        choice_BU = np.where(ways_BU == 0, -1, np.where(turn_BU, 1, 2 * (ways_BU > 1)))
        classes = {"choice": choice_BU, "distance to the goal": count_steps(maps, self.steps)}
        before = np.full((len(batch), self.sampled_from - 1), -1)
        return {
            "value": value_BT[:, :, None],
            "sigma": sigma_BT[:, :, None],
            **{name: np.concatenate([before, along_walks(each, at_BS, -1)], axis=1) for name, each in classes.items()},
        }

    def next_distribution(self, tokens: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Return the walker's distribution over next steps, or the certain outcome at an end; None before the goal is given."""
        if tokens.shape[1] < self.sampled_from:
            return None
        maps, at_BS = self._follow(tokens)
        row_B, at_B = np.arange(len(tokens)), at_BS[:, -1]
        chances_BV = np.zeros((len(tokens), self.vocab_size))
        chances_BV[:, : self.nodes] = step_probabilities(maps, self.slip, self.steps)[row_B, at_B]
        ended_B = ~maps.ways_BUV[row_B, at_B].any(axis=1)
        chances_BV[:, self.nodes] = ended_B & (at_B == maps.goal_B)
        chances_BV[:, self.nodes + 1] = ended_B & (at_B != maps.goal_B)
        return chances_BV

    def consistent(self, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each step follows an edge from the node before it, and the outcome is right for the node before it.

        So wrong turns and the steps after them are consistent, and after a node without edges nothing is.
        """
        maps = self._maps(tokens)
        follows_BVV = np.pad(maps.ways_BUV, ((0, 0), (0, 2), (0, 2)))
        end_BU = maps.ways_BUV.any(axis=1) & ~maps.ways_BUV.any(axis=2)
        goal_BU = np.arange(self.nodes) == maps.goal_B[:, None]
        follows_BVV[:, :-2, -2], follows_BVV[:, :-2, -1] = end_BU & goal_BU, end_BU & ~goal_BU
        walk_BS = tokens[:, self.sampled_from :]
        before_BS = np.concatenate([maps.start_B[:, None], walk_BS[:, :-1]], axis=1)
        right_BS = follows_BVV[np.arange(len(tokens))[:, None], before_BS, walk_BS]
        right_BS |= np.logical_or.accumulate(before_BS >= self.nodes, axis=1)  # the answer has ended
        return np.pad(right_BS, ((0, 0), (self.sampled_from, 0)), constant_values=True)

    def _follow(self, tokens: NDArray[np.int64]) -> tuple[Maps, NDArray[np.int64]]:
        """Return the maps of sequences or prefixes, and the nodes of their walks, start included."""
        maps = self._maps(tokens)
        return maps, follow_walks(maps, tokens[:, self.sampled_from :])

    def _read(self, tokens: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Read edges (B, E, 2), and start and goal (B, 2), of sequences, prompts or prefixes with a complete prompt."""
        pairs = tokens[:, : self.sampled_from].reshape(len(tokens), -1, 2)
        return pairs[:, :-1], pairs[:, -1]

    def _maps(self, tokens: NDArray[np.int64]) -> Maps:
        """Return the maps of sequences."""
        edges_BE2, ends_B2 = self._read(np.minimum(tokens, self.nodes - 1))  # an outcome, in no drawn map, would be no index
        return Maps.from_edges(edges_BE2, ends_B2[:, 0], ends_B2[:, 1], self.nodes)
