r"""Path-star graphs, where teacher forcing hides the one hard step (Bachmann and Nagarajan 2024).

A centre with two arms of three nodes (the centre counts), for example:

    7 - 2 - 5        edges, shuffled:  3 1 | 7 2 | 2 5 | 7 3     then start and goal:  7 1     then the path:  3 1
      \ 3 - 1

The first step after the start is the turn: it requires following the whole arm backwards from the goal. Every later step
follows from the edges and the step before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from math import factorial, perm
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.core.base import PADDING, Batch, Bound, Task
from tasks.core.insight import Contrast, choose
from tasks.core.splits import MOST_LISTED
from tasks.core.text import read_numbers
from tasks.errors import TaskError
from tasks.settings import require

PROMPT = 1


@dataclass(frozen=True, kw_only=True)
class Star(Task):
    """`degree` arms of `arm` nodes from one centre, and the path from the centre to the end of one of them."""

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
    loss_on: Literal["all", "answer"] = "answer"

    def check(self) -> None:
        require(self.degree >= 2, "star.degree", self.degree, "at least 2")
        require(self.arm >= 2, "star.arm", self.arm, "at least 2")
        needed = 1 + self.edges
        require(self.nodes >= needed, "star.nodes", self.nodes, f"at least {needed}, the nodes of such a graph")

    @property
    def edges(self) -> int:
        """E, edges of a graph."""
        return self.degree * (self.arm - 1)

    @property
    def roles(self) -> tuple[str, ...]:
        """`turn` is the path's first step, in either direction; `start` is there in the public form alone."""
        return (PADDING, "prompt", "turn", "follow", *(["start"] if self.form == "public" else []))

    @property
    def vocab_size(self) -> int:
        return self.nodes + (3 if self.form == "public" else 0)

    @property
    def length(self) -> int:
        return self._prompt + (self.arm if self.form == "public" else self.arm - 1)

    @property
    def _prompt(self) -> int:
        """Tokens before the answer."""
        return 3 * self.edges + 3 if self.form == "public" else 2 * self.edges + 2

    def word(self, token: int) -> str:
        return str(token) if token < self.nodes else "|/="[token - self.nodes]

    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        ids_BI = rng.random((size, self.nodes)).argsort(axis=1)[:, : 1 + self.edges]
        edges_BE2, path_BA = self._graphs(ids_BI)
        order_BE = rng.random((size, self.edges)).argsort(axis=1)
        return self._build(np.take_along_axis(edges_BE2, order_BE[:, :, None], axis=1), path_BA)

    def _graphs(self, ids_BI: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Edges (B, E, 2), arm by arm, and paths (B, A), of nodes in this order: the centre, the goal's arm, the others."""
        size = len(ids_BI)
        centre_B1, outer = ids_BI[:, :1], ids_BI[:, 1:].reshape(size, self.degree, self.arm - 1)
        inner = np.concatenate([np.repeat(centre_B1[:, None], self.degree, axis=1), outer[:, :, :-1]], axis=2)
        edges_BE2 = np.stack([inner, outer], axis=-1).reshape(size, self.edges, 2)
        return edges_BE2, np.concatenate([centre_B1, outer[:, 0]], axis=1)

    def instances(self, tokens: NDArray[np.int64]) -> NDArray[np.integer]:
        """The set of edges and the goal, independent of the order of the edges and of `form`."""
        edges_BE2, _, goal_B = self._read(tokens)
        codes_BE = np.sort(edges_BE2[:, :, 0] * self.nodes + edges_BE2[:, :, 1], axis=1)
        return np.concatenate([codes_BE, goal_B[:, None]], axis=1)

    def instance_count(self) -> Bound:
        """Ordered choices of a graph's nodes, centre and goal's arm first; the order of the other arms does not count."""
        return Bound(perm(self.nodes, 1 + self.edges) // factorial(self.degree - 1))

    def every_instance(self) -> NDArray[np.integer] | None:
        """Listed for a few thousand ordered choices of nodes at most."""
        if self.edges > 7 or perm(self.nodes, 1 + self.edges) > MOST_LISTED:  # 8! orders of nodes are too many
            return None
        ids = np.array(list(permutations(range(self.nodes), 1 + self.edges)))
        every: NDArray[np.integer] = np.unique(self.instances(self._build(*self._graphs(ids)).tokens), axis=0)
        return every

    def floor(self, role: str) -> float | None:
        """0 for the path; the prompt is an almost uniform permutation, and has no simple closed form."""
        return None if self.role(role) in (0, PROMPT) else 0.0

    def chance(self, role: str) -> float | None:
        """`turn`, forward: 1 / degree, by a random neighbour of the start."""
        return 1 / self.degree if role == "turn" and self.direction == "forward" else None

    def solve(self, prompt: NDArray[np.int64]) -> NDArray[np.int64]:
        if len(prompt) != self._prompt:
            raise TaskError(f"star: a prompt has {self._prompt} tokens, not {len(prompt)}")
        edges_BE2, start_B, goal_B = self._read(prompt[None])
        path = self._path(edges_BE2[0].tolist(), int(start_B[0]), int(goal_B[0]))
        row = self._build(edges_BE2, np.array([path]))
        if not np.array_equal(row.tokens[0, : self._prompt], prompt):
            raise TaskError("star: the prompt is not u v | ... / start goal =")
        return row.tokens[0, self._prompt :]

    def _path(self, edges: list[list[int]], start: int, goal: int) -> list[int]:
        """From start to goal, in a graph that is `degree` arms of `arm` nodes from the start."""
        before = {v: u for u, v in edges}
        inner = [u for u, _ in edges if u != start]
        if len(before) < len(edges) or start in before or len(set(inner)) < len(inner):
            raise TaskError("star: two edges lead to one node, or branch elsewhere than at the start")
        paths = {node: [node] for node in before if node not in inner}
        for path in paths.values():
            while path[-1] in before:
                path.append(before[path[-1]])
        if len(paths) != self.degree or any(len(path) != self.arm or path[-1] != start for path in paths.values()):
            raise TaskError(f"star: the graph is not {self.degree} arms of {self.arm} nodes from {start}")
        if goal not in paths:
            raise TaskError(f"star: no arm from {start} ends in {goal}")
        return paths[goal][::-1]

    def contrast(self, batch: Batch) -> Contrast | None:
        """Another goal; decided at the turn, or where the path begins with the goal. None if paths differ in the goal alone."""
        if (self.form, self.direction, self.arm) == ("short", "reverse", 2):
            return None
        tokens, row_B = batch.tokens.copy(), np.arange(len(batch))
        other_BV = self._ends(tokens) & (np.arange(self.vocab_size) != tokens[:, self._goal, None])
        tokens[:, self._goal] = choose(tokens, other_BV)
        tokens[:, self._prompt :] = self._answer(self._paths(tokens))
        answer = self._prompt + (self.form == "public" and self.direction == "forward")
        changed = np.full(len(batch), self._goal)
        return Contrast(sequence=row_B, tokens=tokens, changed=changed, answer=np.full(len(batch), answer))

    def latents(self, batch: Batch) -> dict[str, NDArray[np.generic]]:
        """The goal, the turn, the next node to write and how many are left: from the goal on."""
        path_BA = self._paths(batch.tokens)
        answer_BA = self._answer(path_BA)
        turn_B1 = path_BA[:, [1 if self.direction == "forward" else -2]]
        position_T = np.arange(self.length)
        left_T = np.minimum(self.length - 1 - position_T, answer_BA.shape[1])
        next_BT = answer_BA[:, np.minimum(answer_BA.shape[1] - left_T, answer_BA.shape[1] - 1)]
        known_T = position_T >= self._goal
        return {
            "goal": np.where(known_T, batch.tokens[:, self._goal, None], -1),
            "turn": np.where(known_T, turn_B1, -1),
            "next node": np.where(known_T & (left_T > 0), next_BT, -1),
            "nodes left": np.broadcast_to(np.where(known_T, left_T, -1), next_BT.shape),
        }

    def next_distribution(self, tokens: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """From the last edge on: the centre, one of the ends of arms, and then what is determined."""
        (size, count), token_V = tokens.shape, np.arange(self.vocab_size)
        if count < self._goal - 1 - (self.form == "public"):
            return None
        if count == self._goal:
            follows_BV = self._ends(tokens)
        elif count == self._goal - 1:
            follows_BV = self._among(tokens, 0) & ~self._among(tokens, 1)
        elif count < self._prompt:
            follows_BV = np.broadcast_to(token_V == self.nodes + (1 if count < self._goal else 2), (size, self.vocab_size))
        else:
            follows_BV = token_V == self._answer(self._paths(tokens))[:, count - self._prompt, None]
        return np.asarray(follows_BV / follows_BV.sum(axis=1, keepdims=True))

    def consistent(self, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Each step follows the only edge from the node before it, right or wrong as that is; from the centre, the turn."""
        path_BA, (edges_BE2, start_B, goal_B) = self._paths(tokens), self._read(tokens)
        forward = self.direction == "forward"
        step_BV = self._arrows(edges_BE2 if forward else edges_BE2[:, :, ::-1])
        if forward:
            np.put_along_axis(step_BV, start_B[:, None], path_BA[:, 1:2], axis=1)
        first_B1 = (start_B if forward else goal_B)[:, None]
        written_BA = np.concatenate([first_B1, tokens[:, self._prompt :]], axis=1)
        right_BA = np.take_along_axis(step_BV, written_BA[:, :-1], axis=1)
        if self.form == "public":
            right_BA = np.concatenate([first_B1, right_BA[:, 1:]], axis=1)
        prompt_BP = np.ones((len(tokens), self._prompt), dtype=np.bool_)
        return np.concatenate([prompt_BP, tokens[:, self._prompt :] == right_BA], axis=1)

    def format(self, row: Batch) -> str:
        """A line of the public data: `1,2|3,4|.../start,goal=start,...,goal`, in either form."""
        edges_BE2, start_B, goal_B = self._read(row.tokens)
        begin, end = row.answer[0].tolist()
        answer = row.tokens[0, begin:end].tolist()
        first = int(start_B[0]) if self.direction == "forward" else int(goal_B[0])
        path = answer if self.form == "public" else [first, *answer]
        edges = "|".join(f"{u},{v}" for u, v in edges_BE2[0].tolist())
        return f"{edges}/{start_B[0]},{goal_B[0]}={','.join(map(str, path))}"

    def parse(self, line: str) -> Batch:
        edges_text, _, rest = line.strip().partition("/")
        ends_text, _, path_text = rest.partition("=")
        edges = [read_numbers(edge, "star", "an edge u,v", self.nodes, 2) for edge in edges_text.split("|")]
        start, goal = read_numbers(ends_text, "star", "start,goal", self.nodes, 2)
        path = read_numbers(path_text, "star", f"a path of {self.arm} nodes", self.nodes, self.arm)
        require(len(edges) == self.edges, "star: the number of edges", len(edges), str(self.edges))
        whole = path if self.direction == "forward" else path[::-1]
        row = self._build(np.array([edges]), np.array([[start, *whole[1:-1], goal]]))
        found = self.solve(row.tokens[0, : self._prompt]).tolist()
        first = [] if self.form == "public" else [start if self.direction == "forward" else goal]
        right = ",".join(map(str, first + found))
        require(path == first + found, "star: the path", ",".join(map(str, path)), right)
        return row

    def _build(self, edges_BE2: NDArray[np.int64], path_BA: NDArray[np.int64]) -> Batch:
        size = len(path_BA)
        ends_B2 = path_BA[:, [0, -1]]
        if self.form == "public":
            bar, slash, equals = (np.full((size, 1), self.nodes + extra) for extra in range(3))
            bars = np.broadcast_to(bar[:, None], (size, self.edges, 1))
            edges = np.concatenate([edges_BE2, bars], axis=2).reshape(size, -1)[:, :-1]
            prompt = np.concatenate([edges, slash, ends_B2, equals], axis=1)
        else:
            prompt = np.concatenate([edges_BE2.reshape(size, -1), ends_B2], axis=1)
        tokens = np.concatenate([prompt, self._answer(path_BA)], axis=1)
        names = ["prompt"] * self._prompt + ["start"] * (self.form == "public") + ["turn"] + ["follow"] * (self.arm - 2)
        roles = np.broadcast_to([self.roles.index(name) for name in names], tokens.shape)
        return self.rows(tokens, roles, np.tile([self._prompt, self.length], (size, 1)))

    def _answer(self, path_BA: NDArray[np.int64]) -> NDArray[np.int64]:
        path: NDArray[np.int64] = path_BA if self.direction == "forward" else path_BA[:, ::-1]
        return path if self.form == "public" else path[:, 1:]

    @property
    def _goal(self) -> int:
        """The position of the goal in the prompt."""
        return self._prompt - (2 if self.form == "public" else 1)

    def _paths(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """(B, A) the nodes from the start to the goal of prompts, found backwards from the goal."""
        edges_BE2, _, goal_B = self._read(tokens)
        back_BV = self._arrows(edges_BE2[:, :, ::-1])
        path = [goal_B]
        for _ in range(self.arm - 1):
            path.append(back_BV[np.arange(len(tokens)), path[-1]])
        return np.stack(path[::-1], axis=1)

    def _arrows(self, edges_BE2: NDArray[np.int64]) -> NDArray[np.int64]:
        """(B, V + 1) the node to which an edge leads from each token; V, which is no token, where there is none."""
        arrows_BV = np.full((len(edges_BE2), self.vocab_size + 1), self.vocab_size)
        np.put_along_axis(arrows_BV, edges_BE2[:, :, 0], edges_BE2[:, :, 1], axis=1)
        return arrows_BV

    def _ends(self, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(B, V) whether each token is the last node of an arm."""
        return self._among(tokens, 1) & ~self._among(tokens, 0)

    def _among(self, tokens: NDArray[np.int64], side: int) -> NDArray[np.bool_]:
        """(B, V) whether an edge begins (side 0) or ends (1) at each token."""
        each = 3 if self.form == "public" else 2
        nodes_BE = tokens[:, side : each * self.edges : each]
        return np.asarray((nodes_BE[:, :, None] == np.arange(self.vocab_size)).any(axis=1))

    def _read(self, tokens: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Edges (B, E, 2), starts (B,) and goals (B,) of sequences or prompts."""
        each = 3 if self.form == "public" else 2
        padded = tokens[:, : each * self.edges].reshape(len(tokens), self.edges, each)
        start = each * self.edges
        return padded[:, :, :2], tokens[:, start], tokens[:, start + 1]
