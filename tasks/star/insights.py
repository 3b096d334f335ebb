"""The answers of path-star graphs to instruments.

Shapes: B sequences, T positions, E edges, A nodes of the longest arm, V vocabulary, C sequences of a contrast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.core.base import Batch
from tasks.core.insight import Contrast, choose
from tasks.star.graphs import Ints, arrows, find_turns, occurring
from tasks.star.layout import Layout


@dataclass(frozen=True, kw_only=True)
class StarInsights(Layout):
    """The answers of path-star graphs to instruments."""

    def contrast(self, batch: Batch) -> Contrast | None:
        """Change the goal to one on another arm; the answer is the turn, or in reverse the first node of the path.

        The short form in reverse begins with the node before the goal, so that sequences in which this node is the same for all
        other goals are left out; with arms of two nodes these are all sequences.
        """
        if (self.form, self.direction, self.arm) == ("short", "reverse", 2):
            return None
        edges_BE2, count_B = self._read_edges(batch.tokens)
        _, goal_B = self._read_query(batch.tokens, count_B)
        turn_BV = find_turns(edges_BE2, self.arm - 1, self.vocab_size)
        other_BV = self._goals(edges_BE2) & (turn_BV != np.take_along_axis(turn_BV, goal_B[:, None], axis=1))
        if (self.form, self.direction) == ("short", "reverse"):
            before_BV = arrows(edges_BE2[:, :, ::-1], self.vocab_size)[:, :-1]
            other_BV &= before_BV != np.take_along_axis(before_BV, goal_B[:, None], axis=1)
        sequence_C = np.flatnonzero(other_BV.any(axis=1))
        tokens_CT, begin_C = batch.tokens[sequence_C], batch.answer[sequence_C, 0]
        changed_C = begin_C - self._query + 1
        tokens_CT[np.arange(len(sequence_C)), changed_C] = choose(tokens_CT, other_BV[sequence_C])
        answer_C = begin_C + (self.form == "public" and self.direction == "forward")
        tokens_CT = self._build(self._read(tokens_CT)).tokens
        return Contrast(sequence=sequence_C, tokens=tokens_CT, changed=changed_C, answer=answer_C)

    def latents(self, batch: Batch) -> dict[str, NDArray[np.generic]]:
        """Return the `goal`, the `turn`, the `next node` to write and how many `nodes left` there are, from the goal on."""
        graphs, position_T = self._read(batch.tokens), np.arange(self.length)
        begin_B1, end_B1 = np.split(self._answer_ranges(graphs), 2, axis=1)
        known_BT = position_T >= begin_B1 - self._query + 1
        turn_B1 = graphs.path_BA[:, [1]]
        if self.direction == "reverse":
            turn_B1 = np.take_along_axis(graphs.path_BA, np.maximum(graphs.steps_B[:, None] - 1, 0), axis=1)
        left_BT = np.clip(end_B1 - 1 - position_T, 0, end_B1 - begin_B1)
        answer_BA = self._answers(graphs)
        next_BT = np.take_along_axis(answer_BA, np.clip(end_B1 - begin_B1 - left_BT, 0, answer_BA.shape[1] - 1), axis=1)
        return {
            "goal": np.where(known_BT, graphs.path_BA[:, -1:], -1),
            "turn": np.where(known_BT, turn_B1, -1),
            "next node": np.where(known_BT & (left_BT > 0), next_BT, -1),
            "nodes left": np.where(known_BT, left_BT, -1),
        }

    def next_distribution(self, tokens: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Return the centre, a uniform goal, and then certain tokens; None before the last edge of the largest graph."""
        size, count = tokens.shape
        if count < self._each * self.edges - (self.form == "public"):
            return None
        graphs, row_B = self._read(tokens), np.arange(size)
        edges_BE2, answer_BA = graphs.edges_BE2, self._answers(graphs)
        after_B = count - self._each * graphs.count_B  # tokens after the edges; -1 before the slash of the public form
        tails_BV, heads_BV = (occurring(edges_BE2[:, :, side], self.vocab_size) for side in range(2))
        answer_B = answer_BA[row_B, np.clip(after_B - self._query, 0, answer_BA.shape[1] - 1)]
        signs = [self.nodes + 1, (tails_BV & ~heads_BV).argmax(axis=1), 0, self.nodes + 2]
        token_B = np.select([after_B < 0, after_B == 0, after_B == 1, after_B < self._query], signs, answer_B)
        chances_BV = np.zeros((size, self.vocab_size))
        chances_BV[row_B, token_B] = 1
        goals_BV = self._goals(edges_BE2[after_B == 1])  # of the largest graph, whose arms have the same length
        chances_BV[after_B == 1] = goals_BV / goals_BV.sum(axis=1, keepdims=True)
        return chances_BV

    def consistent(self, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each step follows the only edge from the node before it, or from the centre is the turn."""
        graphs, position_T = self._read(tokens), np.arange(tokens.shape[1])
        forward = self.direction == "forward"
        step_BV = arrows(graphs.edges_BE2 if forward else graphs.edges_BE2[:, :, ::-1], self.vocab_size)
        if forward:
            np.put_along_axis(step_BV, graphs.path_BA[:, :1], graphs.path_BA[:, 1:2], axis=1)
        first_B1 = graphs.path_BA[:, :1] if forward else graphs.path_BA[:, -1:]
        begin_B1, end_B1 = np.split(self._answer_ranges(graphs), 2, axis=1)
        before_BT = np.where(position_T == begin_B1, first_B1, np.roll(tokens, 1, axis=1))
        right_BT = np.take_along_axis(step_BV, before_BT, axis=1)
        if self.form == "public":
            right_BT = np.where(position_T == begin_B1, first_B1, right_BT)
        return np.asarray((tokens == right_BT) | (position_T < begin_B1) | (position_T >= end_B1))

    def _goals(self, edges_BE2: Ints) -> NDArray[np.bool_]:
        """Return whether each token can be the goal, (B, V)."""
        heads_BV = occurring(edges_BE2[:, :, 1], self.vocab_size)
        return heads_BV if self.query == "any" else heads_BV & ~occurring(edges_BE2[:, :, 0], self.vocab_size)
