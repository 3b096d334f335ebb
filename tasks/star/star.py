r"""Path-star graphs, in which teacher forcing hides the one hard step (Bachmann and Nagarajan 2024).

A centre with two arms of three nodes, the centre included:

    7 - 2 - 5        edges, shuffled:  3 1 | 7 2 | 2 5 | 7 3     then start and goal:  7 1     then the path:  3 1
      \ 3 - 1

The first step after the start is the turn: to find it, a model must follow the whole arm backwards from the goal. Every later
step follows from the edges and the step before it.

If `query` is `any`, the goal can be any node of an arm, so that a model must follow one edge or more to find the turn; the path
and the sequence end at the goal. With `shortest_arm` the arms differ in length. Frydenlund 2025 (arXiv 2503.10542) trains on
such graphs.

Shapes: B sequences, E edges of the largest graph, I nodes of the largest graph, A nodes of the longest arm, D arms, M nodes of
an arm without the centre.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from math import perm
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks.core.base import Batch, Bound
from tasks.core.splits import MOST_LISTED
from tasks.core.strata import Ranks, Stratum, ranked_size
from tasks.errors import TaskError
from tasks.settings import require
from tasks.star import text
from tasks.star.graphs import Graphs, Ints, list_arms
from tasks.star.insights import StarInsights
from tasks.star.layout import PROMPT

_ADDED_LATER = {"query": "goal", "shortest_arm": None}
"""Settings that were added later, with the values under which instances are the same as before."""


@dataclass(frozen=True, kw_only=True)
class Star(StarInsights):
    """Arms from one centre, and the path from the centre to the end of one of them, or to any node."""

    name: ClassVar[str] = "star"
    summary: ClassVar[str] = "find the path from the centre of a star of arms to the end of one"
    source: ClassVar[str] = "Bachmann and Nagarajan 2024"
    role_labels: ClassVar[Mapping[str, str]] = {
        "prompt": "edges, start and goal",
        "start": "start of the path",
        "turn": "first step of the path",
        "follow": "later steps of the path",
    }
    headline: ClassVar[str] = "accuracy/turn"
    has_answer: ClassVar[bool] = True

    def word(self, token: int) -> str:
        return str(token) if token < self.nodes else "|/="[token - self.nodes]

    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        ids_BI = rng.random((size, self.nodes)).argsort(axis=1)[:, : 1 + self.edges]
        key_BE, longest = rng.random((size, self.edges)), self.stars.longest
        count_B, steps_B = np.full(size, self.edges), np.full(size, longest)
        if self.shortest_arm is not None:
            length_BD = rng.integers(self.stars.shortest, longest, size=(size, self.degree), endpoint=True)
            key_BE += (np.arange(longest) >= length_BD[:, :, None]).reshape(size, self.edges)  # missing edges are the last
            count_B, steps_B = length_BD.sum(axis=1), length_BD[:, 0]
        if self.query == "any":
            steps_B = rng.integers(1, steps_B, endpoint=True)
        edges_BE2, path_BA = self._lay_arms(ids_BI, steps_B)
        edges_BE2 = np.take_along_axis(edges_BE2, key_BE.argsort(axis=1)[:, :, None], axis=1)
        return self._build(Graphs(edges_BE2=edges_BE2, count_B=count_B, path_BA=path_BA, steps_B=steps_B))

    def _lay_arms(self, ids_BI: Ints, steps_B: Ints) -> tuple[Ints, Ints]:
        """Return edges (B, E, 2), arm by arm, and paths (B, A).

        Args:
            ids_BI: Nodes in this order: the centre, the goal's arm, the other arms.
            steps_B: Number of steps of each path.
        """
        size, longest = len(ids_BI), self.stars.longest
        centre_B1, outer = ids_BI[:, :1], ids_BI[:, 1:].reshape(size, self.degree, longest)
        inner = np.concatenate([np.repeat(centre_B1[:, None], self.degree, axis=1), outer[:, :, :-1]], axis=2)
        edges_BE2 = np.stack([inner, outer], axis=-1).reshape(size, self.edges, 2)
        path_BA = np.concatenate([centre_B1, outer[:, 0]], axis=1)
        if self.varies:
            path_BA = np.take_along_axis(path_BA, np.minimum(np.arange(self.arm), steps_B[:, None]), axis=1)
        return edges_BE2, path_BA

    # --- instances ---------------------------------------------------------------------------------------------------

    def drawn_from(self) -> dict[str, Any]:
        """Leave out settings that were added later, at their defaults, so that older tasks draw the same instances."""
        values = super().drawn_from()
        return {name: value for name, value in values.items() if name not in _ADDED_LATER or value != _ADDED_LATER[name]}

    def instances(self, tokens: NDArray[np.int64]) -> NDArray[np.integer]:
        """Return the set of edges and the goal, independent of the order of the edges and of `form`."""
        edges_BE2, count_B = self._read_edges(tokens)
        _, goal_B = self._read_query(tokens, count_B)
        codes_BE = edges_BE2[:, :, 0] * self.nodes + edges_BE2[:, :, 1]
        if self.shortest_arm is not None:
            codes_BE = np.where(np.arange(self.edges) < count_B[:, None], codes_BE, -1)
        return np.concatenate([np.sort(codes_BE, axis=1), goal_B[:, None]], axis=1)

    def instance_count(self) -> Bound:
        """Count the graphs with a goal; the order of the other arms does not matter."""
        return Bound(self.stars.count())

    def every_instance(self) -> NDArray[np.integer] | None:
        """List the graphs if all have one shape, and few ordered choices of nodes."""
        if self.varies or self.edges > 7 or perm(self.nodes, 1 + self.edges) > MOST_LISTED:  # 8! orders of nodes are too many
            return None
        ids = np.array(list(permutations(range(self.nodes), 1 + self.edges)))
        count_B, steps_B = (np.full(len(ids), number) for number in (self.edges, self.stars.longest))
        edges_BE2, path_BA = self._lay_arms(ids, steps_B)
        graphs = Graphs(edges_BE2=edges_BE2, count_B=count_B, path_BA=path_BA, steps_B=steps_B)
        every: NDArray[np.integer] = np.unique(self.instances(self._build(graphs).tokens), axis=0)
        return every

    def strata(self) -> tuple[Stratum, ...]:
        """Return the numbers of steps from start to goal if these vary; graphs of the same shape are a block."""
        if not self.varies:
            return super().strata()
        blocks = self.stars.blocks()
        return tuple(
            Stratum(
                name=f"{steps} step{'s' * (steps > 1)}", chance=chance, blocks=tuple(blocks[steps].items()) if blocks else ()
            )
            for steps, chance in self.stars.chances().items()
        )

    def stratum(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        return self._read(tokens).steps_B - min(self.stars.chances()) if self.varies else super().stratum(tokens)

    def rank(self, tokens: NDArray[np.int64]) -> Ranks | None:
        if not self._has_small_blocks:
            return None
        edges_BE2, count_B = self._read_edges(tokens)
        start_B, goal_B = self._read_query(tokens, count_B)
        arms_BDM = list_arms(edges_BE2, start_B, degree=self.degree, longest=self.stars.longest, tokens=self.vocab_size)
        return self.stars.rank(start_B, arms_BDM, goal_B)

    @cached_property
    def _has_small_blocks(self) -> bool:
        return any(ranked_size(size) for stratum in self.strata() for size, _ in stratum.blocks)

    # --- optimum ---------------------------------------------------------------------------------------------------

    def floor(self, role: str) -> float | None:
        """Return 0 for the path; the prompt is an almost uniform permutation and has no simple closed form."""
        return None if self.role(role) in (0, PROMPT) else 0.0

    def chance(self, role: str) -> float | None:
        """Return 1 / degree, the accuracy of a random neighbour of the start, for a forward `turn`."""
        return 1 / self.degree if role == "turn" and self.direction == "forward" else None

    def plateaus(self, role: str) -> Mapping[str, float]:
        """Return the accuracy, on a forward `turn`, of a guess that reads the edges of the start alone.

        It guesses the goal if an edge leads there, else any neighbour of the start.
        """
        one_step = self.stars.chances().get(1, 0.0)
        if role != "turn" or self.direction == "reverse" or not 0 < one_step < 1:
            return {}
        return {"edges of the start alone": one_step + (1 - one_step) / self.degree}

    # --- answers and lines of text -------------------------------------------------------------------------------

    def solve(self, prompt: NDArray[np.int64]) -> NDArray[np.int64]:
        self.check_ids(prompt)
        edges_BE2, count_B = self._read_edges(prompt[None])
        count = int(count_B[0])
        tokens = self._each * count + self._query
        if len(prompt) != tokens:
            edges = "" if self.shortest_arm is None else f" of {count} edges"
            raise TaskError(f"star: a prompt{edges} has {tokens} tokens, not {len(prompt)}")
        start, goal = (int(end_B[0]) for end_B in self._read_query(prompt[None], count_B))
        row = self._row(edges_BE2[0, :count].tolist(), start, goal)
        if not np.array_equal(row.tokens[0, :tokens], prompt):
            raise TaskError("star: the prompt is not u v | ... / start goal =")
        return row.tokens[0, tokens : row.answer[0, 1]]

    def format(self, row: Batch) -> str:
        """Write a line of the public data, `1,2|3,4|.../start,goal=start,...,goal`, for either form."""
        graphs = self._read(row.tokens)
        start, goal = self._read_query(row.tokens, graphs.count_B)
        begin, end = self._answer_ranges(graphs)[0].tolist()
        given = [] if self.form == "public" else (start if self.direction == "forward" else goal).tolist()
        edges, path = graphs.edges_BE2[0, : graphs.count_B[0]].tolist(), row.tokens[0, begin:end].tolist()
        return text.write(text.Line(edges, int(start[0]), int(goal[0]), [*given, *path]))

    def parse(self, line: str) -> Batch:
        stated = text.read(line, self.stars)
        row = self._row(stated.edges, stated.start, stated.goal)
        right, path = self.format(row).rpartition("=")[2], ",".join(map(str, stated.path))
        require(path == right, "star: the path", path, right)
        return row

    def _row(self, edges: list[list[int]], start: int, goal: int) -> Batch:
        """Build the sequence of a graph with its path from start to goal."""
        path = text.find_path(edges, start, goal, self.stars)
        missing = [[self.vocab_size] * 2] * (self.edges - len(edges))
        return self._build(
            Graphs(
                edges_BE2=np.array([[*edges, *missing]]),
                count_B=np.array([len(edges)]),
                path_BA=np.array([[*path, *[goal] * (self.arm - len(path))]]),
                steps_B=np.array([len(path) - 1]),
            )
        )
