"""The settings of path-star graphs and the layout of their sequences, which it builds and reads.

Shapes: B sequences, T positions, E edges of the largest graph, A nodes of the longest arm, V vocabulary. The **query** follows
the edges: start and goal, and in the public form `=`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from tasks.core.base import PADDING, Batch, Task
from tasks.settings import require
from tasks.star.graphs import Graphs, Ints, trace_back
from tasks.star.shapes import Stars

PROMPT = 1


@dataclass(frozen=True, kw_only=True)
class Layout(Task):
    """Sequences of edges, start, goal and the path between them; padding repeats the last node of the path."""

    degree: int = 2
    """Number of arms."""
    arm: int = 3
    """A, nodes of an arm with the centre (`length` in the literature; here `length` is the number of tokens in a sequence)."""
    nodes: int = 12
    """Number of node ids to choose from."""
    form: Literal["short", "public"] = "short"
    """`short`: u v of each edge, start, goal, the path after the start. `public`: u v | ... / start goal = the whole path."""
    direction: Literal["forward", "reverse"] = "forward"
    """`reverse`: the path leads from the goal to the start, so that every step follows from one edge: the control."""
    query: Literal["goal", "any"] = "goal"
    """`goal`: the path leads to the last node of an arm; `any`: to any of its nodes but the centre, equally often."""
    shortest_arm: int | None = None
    """Nodes of the shortest arm: each arm has from so many to `arm` nodes, equally often; null for arms of equal length."""
    loss_on: Literal["all", "answer"] = "answer"

    def check(self) -> None:
        require(self.degree >= 2, "star.degree", self.degree, "at least 2")
        require(self.arm >= 2, "star.arm", self.arm, "at least 2")
        require(not self.varies or self.arm <= 1000, "star.arm", self.arm, "at most 1000 where paths vary in length")
        is_shorter = self.shortest_arm is None or 2 <= self.shortest_arm < self.arm
        allowed = f"null, or at least 2 and below {self.arm}, the nodes of the longest arm"
        require(is_shorter, "star.shortest_arm", self.shortest_arm, allowed)
        needed = 1 + self.edges
        require(self.nodes >= needed, "star.nodes", self.nodes, f"at least {needed}, the nodes of such a graph")

    @property
    def edges(self) -> int:
        """E, number of edges of the largest graph."""
        return self.degree * (self.arm - 1)

    @property
    def varies(self) -> bool:
        """Whether graphs or answers vary in size."""
        return self.query == "any" or self.shortest_arm is not None

    @cached_property
    def stars(self) -> Stars:
        """All graphs with these settings."""
        shortest = self.arm if self.shortest_arm is None else self.shortest_arm
        return Stars(self.degree, shortest - 1, self.arm - 1, self.nodes, self.query == "any")

    @property
    def roles(self) -> tuple[str, ...]:
        """`turn` is the first step of the path as it is written, in either direction; only the public form has `start`."""
        return (PADDING, "prompt", "turn", "follow", *(["start"] if self.form == "public" else []))

    @property
    def vocab_size(self) -> int:
        return self.nodes + (3 if self.form == "public" else 0)

    @property
    def classes(self) -> Ints:
        """Five classes: nodes by their id modulo 4, since a path has nothing but nodes, and separators."""
        token_V = np.arange(self.vocab_size)
        return np.where(token_V < self.nodes, token_V % 4, 4)

    @property
    def length(self) -> int:
        """Tokens of the largest graph with the longest path."""
        return self._each * self.edges + self._query + self.longest_answer

    @property
    def _each(self) -> int:
        """Number of tokens of an edge."""
        return 3 if self.form == "public" else 2

    @property
    def _query(self) -> int:
        """Number of tokens of the query."""
        return 3 if self.form == "public" else 2

    @property
    def longest_answer(self) -> int:
        return self.arm if self.form == "public" else self.arm - 1

    def _build(self, graphs: Graphs) -> Batch:
        """Build sequences of graphs with their paths."""
        size, most = len(graphs.path_BA), self._each * self.edges
        bar, slash, equals = (np.full((size, 1), self.nodes + extra) for extra in range(3))
        edges, query = graphs.edges_BE2, [graphs.path_BA[:, :1], graphs.path_BA[:, -1:]]
        if self.form == "public":
            edges = np.concatenate([edges, np.broadcast_to(bar[:, None], (size, self.edges, 1))], axis=2)
            query.append(equals)
        tokens = np.concatenate([edges.reshape(size, -1), *query, self._answers(graphs)], axis=1)
        names = ["start"] * (self.form == "public") + ["turn"] + ["follow"] * (self.arm - 2)
        roles = np.broadcast_to([PROMPT] * (most + self._query) + [self.roles.index(name) for name in names], tokens.shape)
        begin_B1, answer_B2 = self._each * graphs.count_B[:, None], self._answer_ranges(graphs)
        if self.shortest_arm is not None:  # move the query to the last edge
            position_T = np.arange(self.length)
            from_BT = np.where(position_T < begin_B1, position_T, np.minimum(position_T + most - begin_B1, self.length - 1))
            tokens, roles = (np.take_along_axis(each, from_BT, axis=1) for each in (tokens, roles))
        if self.varies:
            roles = np.where(np.arange(self.length) < answer_B2[:, 1:], roles, 0)
        if self.form == "public":
            np.put_along_axis(tokens, begin_B1 - 1, slash, axis=1)
        return self.rows(tokens, roles, answer_B2)

    def _answers(self, graphs: Graphs) -> Ints:
        """Return the answers, (B, tokens of the longest answer), whose last node fills the rest."""
        path_BA = graphs.path_BA
        if self.direction == "reverse":
            back_BA = np.maximum(graphs.steps_B[:, None] - np.arange(self.arm), 0)
            path_BA = np.take_along_axis(path_BA, back_BA, axis=1)
        return path_BA if self.form == "public" else path_BA[:, 1:]

    def _answer_ranges(self, graphs: Graphs) -> Ints:
        """Return the positions at which the answers begin and after which they end, (B, 2)."""
        begin_B = self._each * graphs.count_B + self._query
        return np.stack([begin_B, begin_B + graphs.steps_B + (self.form == "public")], axis=1)

    def _read(self, tokens: Ints) -> Graphs:
        """Read graphs, goals and paths from sequences or prompts; paths are found backwards from the goals."""
        edges_BE2, count_B = self._read_edges(tokens)
        _, goal_B = self._read_query(tokens, count_B)
        path_BA, steps_B = trace_back(edges_BE2, goal_B, self.arm - 1, self.vocab_size)
        return Graphs(edges_BE2=edges_BE2, count_B=count_B, path_BA=path_BA, steps_B=steps_B)

    def _read_edges(self, tokens: Ints) -> tuple[Ints, Ints]:
        """Read the edges (B, E, 2), missing ones as (V, V), and their number (B,), from sequences or prefixes.

        A prefix without a query counts as a graph with the most edges.
        """
        each, most = self._each, self.edges
        front = tokens[:, : each * most]
        if front.shape[1] < each * most:
            front = np.pad(front, ((0, 0), (0, each * most - front.shape[1])), constant_values=self.vocab_size)
        edges_BE2 = front.reshape(len(tokens), most, each)[:, :, :2]
        if self.shortest_arm is None:
            return edges_BE2, np.full(len(tokens), most)
        if self.form == "public":  # a slash follows the last edge
            is_last_BE = front[:, 2::3] == self.nodes + 1
            is_last_BE[:, -1] = True
            count_B = 1 + is_last_BE.argmax(axis=1)
        else:  # the goal, second token of the query, repeats the head of an edge, and no later edge does
            heads_BE = edges_BE2[:, :, 1]
            same_BEE = (heads_BE[:, :, None] == heads_BE[:, None, :]) & (heads_BE < self.vocab_size)[:, None]
            repeats_BE = np.tril(same_BEE, -1).any(axis=2)
            count_B = np.where(repeats_BE.any(axis=1), repeats_BE.argmax(axis=1), most)
        present_BE1 = np.arange(most)[:, None] < count_B[:, None, None]
        return np.where(present_BE1, edges_BE2, self.vocab_size), count_B

    def _read_query(self, tokens: Ints, count_B: Ints) -> tuple[Ints, Ints]:
        """Read start and goal, (B,) each, from sequences or prompts, given their numbers of edges."""
        position_B2 = self._each * count_B[:, None] + np.arange(2)
        ends_B2 = np.take_along_axis(tokens, np.minimum(position_B2, tokens.shape[1] - 1), axis=1)
        return ends_B2[:, 0], ends_B2[:, 1]
