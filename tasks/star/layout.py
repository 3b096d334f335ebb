"""The settings of path-star graphs, and how sequences are laid out: building and reading tokens.

Shapes: B sequences, T positions, E edges of the largest graph, A nodes of the longest arm, V vocabulary. After the edges comes
the **query**: start and goal, and in the public form `=`.
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
    """Arms."""
    arm: int = 3
    """Nodes of an arm, including the centre (called `length` in the literature; here that is tokens in a sequence)."""
    nodes: int = 12
    """Node ids to choose from."""
    form: Literal["short", "public"] = "short"
    """`short`: u v of each edge, start, goal, the path after the start. `public`: u v | ... / start goal = the whole path."""
    direction: Literal["forward", "reverse"] = "forward"
    """`reverse`: the path from the goal to the start, every step of which follows from one edge: the control."""
    query: Literal["goal", "any"] = "goal"
    """`goal`: the path leads to the last node of an arm; `any`: to any of its nodes but the centre, equally often."""
    shortest_arm: int | None = None
    """Nodes of the shortest arm: each arm has that many to `arm` nodes, equally often; null for arms of equal length."""
    loss_on: Literal["all", "answer"] = "answer"

    def check(self) -> None:
        require(self.degree >= 2, "star.degree", self.degree, "at least 2")
        require(self.arm >= 2, "star.arm", self.arm, "at least 2")
        require(not self.varies or self.arm <= 1000, "star.arm", self.arm, "at most 1000 where paths vary in length")
        if self.shortest_arm is not None:
            is_shorter = 2 <= self.shortest_arm < self.arm
            allowed = f"null, or at least 2 and below {self.arm}, the nodes of the longest arm"
            require(is_shorter, "star.shortest_arm", self.shortest_arm, allowed)
        needed = 1 + self.edges
        require(self.nodes >= needed, "star.nodes", self.nodes, f"at least {needed}, the nodes of such a graph")

    @property
    def edges(self) -> int:
        """E, edges of the largest graph."""
        return self.degree * (self.arm - 1)

    @property
    def varies(self) -> bool:
        """Whether graphs or answers differ in size."""
        return self.query == "any" or self.shortest_arm is not None

    @cached_property
    def stars(self) -> Stars:
        """All graphs."""
        shortest = self.arm if self.shortest_arm is None else self.shortest_arm
        return Stars(self.degree, shortest - 1, self.arm - 1, self.nodes, self.query == "any")

    @property
    def roles(self) -> tuple[str, ...]:
        """`turn` is the path's first step, in either direction; `start` is there in the public form alone."""
        return (PADDING, "prompt", "turn", "follow", *(["start"] if self.form == "public" else []))

    @property
    def vocab_size(self) -> int:
        return self.nodes + (3 if self.form == "public" else 0)

    @property
    def classes(self) -> Ints:
        """Nodes by their id modulo 4, since a path has nothing but nodes, and the separators."""
        token_V = np.arange(self.vocab_size)
        return np.where(token_V < self.nodes, token_V % 4, 4)

    @property
    def length(self) -> int:
        """Of the largest graph with the longest path."""
        return self._each * self.edges + self._query + self.longest_answer

    @property
    def _each(self) -> int:
        """Tokens of an edge."""
        return 3 if self.form == "public" else 2

    @property
    def _query(self) -> int:
        """Tokens of the query."""
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
        if self.shortest_arm is not None:  # the query follows the last edge
            position_T = np.arange(self.length)
            place_BT = np.where(position_T < begin_B1, position_T, np.minimum(position_T + most - begin_B1, self.length - 1))
            tokens, roles = (np.take_along_axis(each, place_BT, axis=1) for each in (tokens, roles))
        if self.varies:
            roles = np.where(np.arange(self.length) < answer_B2[:, 1:], roles, 0)
        if self.form == "public":
            np.put_along_axis(tokens, begin_B1 - 1, slash, axis=1)
        return self.rows(tokens, roles, answer_B2)

    def _answers(self, graphs: Graphs) -> Ints:
        """(B, tokens of the longest answer) the answers, the last node repeated."""
        path_BA = graphs.path_BA
        if self.direction == "reverse":
            back_BA = np.maximum(graphs.steps_B[:, None] - np.arange(self.arm), 0)
            path_BA = np.take_along_axis(path_BA, back_BA, axis=1)
        return path_BA if self.form == "public" else path_BA[:, 1:]

    def _answer_ranges(self, graphs: Graphs) -> Ints:
        """(B, 2) where the answers begin and end."""
        begin_B = self._each * graphs.count_B + self._query
        return np.stack([begin_B, begin_B + graphs.steps_B + (self.form == "public")], axis=1)

    def _read(self, tokens: Ints) -> Graphs:
        """Read graphs, goals and paths of sequences or prompts, the paths backwards from the goals."""
        edges_BE2, count_B = self._read_edges(tokens)
        _, goal_B = self._read_query(tokens, count_B)
        path_BA, steps_B = trace_back(edges_BE2, goal_B, self.arm - 1, self.vocab_size)
        return Graphs(edges_BE2=edges_BE2, count_B=count_B, path_BA=path_BA, steps_B=steps_B)

    def _read_edges(self, tokens: Ints) -> tuple[Ints, Ints]:
        """Read the edges (B, E, 2), missing ones as (V, V), and their number (B,), of sequences or prefixes.

        Prefixes that have no query have the most edges.
        """
        each, most = self._each, self.edges
        front = tokens[:, : each * most]
        if front.shape[1] < each * most:
            front = np.pad(front, ((0, 0), (0, each * most - front.shape[1])), constant_values=self.vocab_size)
        edges_BE2 = front.reshape(len(tokens), most, each)[:, :, :2]
        if self.shortest_arm is None:
            return edges_BE2, np.full(len(tokens), most)
        if self.form == "public":  # a slash before the query
            found_BE = front[:, 2::3] == self.nodes + 1
            found_BE[:, -1] = True
            count_B = 1 + found_BE.argmax(axis=1)
        else:  # no edge leads to a node to which another has led, and the query's second token is such a node
            heads_BE = edges_BE2[:, :, 1]
            again_BEE = (heads_BE[:, :, None] == heads_BE[:, None, :]) & (heads_BE < self.vocab_size)[:, None]
            found_BE = np.tril(again_BEE, -1).any(axis=2)
            count_B = np.where(found_BE.any(axis=1), found_BE.argmax(axis=1), most)
        present_BE1 = np.arange(most)[:, None] < count_B[:, None, None]
        return np.where(present_BE1, edges_BE2, self.vocab_size), count_B

    def _read_query(self, tokens: Ints, count_B: Ints) -> tuple[Ints, Ints]:
        """Read start and goal (B,) each, of sequences or prompts."""
        place_B2 = self._each * count_B[:, None] + np.arange(2)
        ends_B2 = np.take_along_axis(tokens, np.minimum(place_B2, tokens.shape[1] - 1), axis=1)
        return ends_B2[:, 0], ends_B2[:, 1]
