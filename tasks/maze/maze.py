r"""A maze with choices that matter and choices that do not: exact choice points (Gloeckle et al. 2024, appendix L.3, Fig S17).

A map with one turn, one detour and corridors of one step, from 7 to 4:

    7 -> 2 -> 9 -> 1 -> 4       edges, shuffled:  9 3 | 7 2 | 6 8 | 9 1 | ...    then start and goal:  7 4
      \         \    /          then a walk:      2 9 3 4 won       or, after a slip:  6 8 lost
       6 -> 8    3 -             its roles:       t f d f o                            t f o

t: turn (7 -> 2 leads to the goal, 7 -> 6 to a dead end), d: detour (9 -> 1 and 9 -> 3 join after one step), f: forced, o:
outcome. A corridor follows every choice. Edges are written and walked from their first node to their second, never back.

Shapes: B sequences, S steps (S + 1 nodes of a path), E edges, J turns or detours, C choices, L steps of a way to a dead end, U
and V nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from math import comb, factorial, perm
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.core.base import PADDING, Batch, Bound
from tasks.core.splits import MOST_LISTED
from tasks.errors import TaskError
from tasks.maze import text
from tasks.maze.walker import Walker
from tasks.maze.walks import along_walks, build_edges, draw_walks, follow_walks
from tasks.settings import require

PROMPT, TURN, DETOUR, FORCED, OUTCOME = 1, 2, 3, 4, 5


@dataclass(frozen=True, kw_only=True)
class Maze(Walker):
    """A map as shuffled edges, start and goal, then a random walk that slips at turns, and its outcome."""

    name: ClassVar[str] = "maze"
    summary: ClassVar[str] = "walk a maze whose turns matter and whose detours do not"
    source: ClassVar[str] = "Gloeckle et al. 2024, section 5.1 and appendix L.3 (Fig S17)"
    roles = (PADDING, "prompt", "turn", "detour", "forced", "outcome")
    role_labels: ClassVar[Mapping[str, str]] = {
        "prompt": "map, start and goal",
        "turn": "turns of the walk",
        "detour": "detours of the walk",
        "forced": "forced steps of the walk",
        "outcome": "outcome of the walk",
    }
    headline: ClassVar[str] = "accuracy/turn"
    has_answer: ClassVar[bool] = True

    loss_on: Literal["all", "answer"] = "answer"

    @property
    def determined(self) -> bool:
        """True if there are neither slips nor detours."""
        return self.slip == 0 and self.detours == 0

    def word(self, token: int) -> str:
        return str(token) if token < self.nodes else ("won", "lost")[token - self.nodes]

    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        path_BS, dead_BJL, other_BJ = self._assign_nodes(rng.random((size, self.nodes)).argsort(axis=1))
        at_BC = rng.random((size, self.turns + self.detours)).argsort(axis=1) * self.block  # steps before turns, then detours
        ordered_BE2 = build_edges(path_BS, dead_BJL, other_BJ, at_BC)
        order_BE = rng.random((size, self.edges)).argsort(axis=1)
        edges_BE2 = np.take_along_axis(ordered_BE2, order_BE[:, :, None], axis=1)
        walk_BS, steps_B = draw_walks(rng, path_BS[:, 1:], dead_BJL, other_BJ, at_BC, self.slip)
        row_B1, roles_BS = np.arange(size)[:, None], np.full(walk_BS.shape, FORCED)
        roles_BS[row_B1, at_BC[:, : self.turns]], roles_BS[row_B1, at_BC[:, self.turns :]] = TURN, DETOUR
        return self._build(edges_BE2, path_BS[:, [0, -1]], walk_BS, roles_BS, steps_B)

    def roles_of(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the role of each step by the node before it; steps off the map are forced.

        An answer ends with an outcome, or with the first token after an end of the map.
        """
        if tokens.shape[1] <= self.sampled_from:
            return np.full(tokens.shape, PROMPT)
        maps, at_BS = self._follow(tokens)
        turn_BU, _ = maps.turns(self.steps)
        ways_BU = maps.ways_BUV.sum(axis=2)
        of_node_BU = np.where(ways_BU == 0, OUTCOME, np.where(turn_BU, TURN, np.where(ways_BU > 1, DETOUR, FORCED)))
        role_BS = along_walks(of_node_BU, at_BS[:, :-1], FORCED)
        is_last_BS = (role_BS == OUTCOME) | (tokens[:, self.sampled_from :] >= self.nodes)
        ended_BS = np.cumsum(is_last_BS, axis=1) - is_last_BS > 0
        return np.pad(np.where(ended_BS, 0, role_BS), ((0, 0), (self.sampled_from, 0)), constant_values=PROMPT)

    def instances(self, tokens: NDArray[np.int64]) -> NDArray[np.integer]:
        """Return the set of edges and the goal, independent of the order of the edges and of the walk."""
        edges_BE2, ends_B2 = self._read(tokens)
        codes_BE = np.sort(edges_BE2[:, :, 0] * 1000 + edges_BE2[:, :, 1], axis=1)
        return np.concatenate([codes_BE, ends_B2[:, 1:]], axis=1)

    def instance_count(self) -> Bound:
        """Multiply the orders of turns and detours by the choices of node ids; the two ways of a detour are interchangeable."""
        return Bound(comb(self.turns + self.detours, self.turns) * perm(self.nodes, self.used) // 2**self.detours)

    def every_instance(self) -> NDArray[np.integer] | None:
        choices = self.turns + self.detours
        if self.used > 8 or perm(self.nodes, self.used) * factorial(choices) > MOST_LISTED:  # 8! orders of nodes are too many
            return None
        path_BS, dead_BJL, other_BJ = self._assign_nodes(np.array(list(permutations(range(self.nodes), self.used))))
        orders = self.block * np.array(list(permutations(range(choices))))
        edges = [build_edges(path_BS, dead_BJL, other_BJ, np.tile(order, (len(path_BS), 1))) for order in orders]
        prompts = [np.concatenate([each.reshape(len(each), -1), path_BS[:, [0, -1]]], axis=1) for each in edges]
        every: NDArray[np.integer] = np.unique(self.instances(np.concatenate(prompts)), axis=0)
        return every

    def floor(self, role: str) -> float | None:
        """Return the entropy H(slip) for `turn`, ln 2 for `detour`, 0 for `forced` and `outcome`, and None for `prompt`."""
        number, slip = self.role(role), self.slip
        entropy = 0.0 if slip == 0 else float(-slip * np.log(slip) - (1 - slip) * np.log1p(-slip))
        return {TURN: entropy, DETOUR: float(np.log(2)), FORCED: 0.0, OUTCOME: 0.0}.get(number)

    def chance(self, role: str) -> float | None:
        """Return 1/2 for `turn` and `detour`."""
        return 1 / 2 if self.role(role) in (TURN, DETOUR) else None

    # --- metrics -----------------------------------------------------------------------------------------------------

    def compare(self, tokens: NDArray[np.int64], log_probs: NDArray[np.float32]) -> dict[str, float]:
        """Compute the loss by importance: `sigma/0.27` is the mean loss in nats on walk tokens whose prefix has sigma_pi 0.27.

        Sigma is rounded to two digits. Detours have sigma 0, although they are unpredictable.
        """
        begin = self.sampled_from
        sigma_BS = self.values(tokens)[1][:, begin - 1 : -1]
        loss_BS = -np.take_along_axis(log_probs[:, begin - 1 : -1], tokens[:, begin:, None], axis=2)[:, :, 0]
        outcome_BS = tokens[:, begin:] >= self.nodes
        inside_BS = outcome_BS.cumsum(axis=1) - outcome_BS == 0  # up to the outcome, inclusive
        level_BS = np.round(sigma_BS, 2)
        return {
            f"sigma/{level:.2f}": float(loss_BS[inside_BS & (level_BS == level)].mean(dtype=np.float64))
            for level in np.unique(level_BS[inside_BS])
        }

    def judge(self, tokens: NDArray[np.int64]) -> dict[str, float]:
        """Compute the shares of walks that reach the `goal`, that reach a `dead_end`, and that go `astray`, off the map."""
        maps = self._maps(tokens)
        end_B = follow_walks(maps, tokens[:, self.sampled_from :])[:, -1]
        goal, astray = float((end_B == maps.goal_B).mean()), float((end_B < 0).mean())
        return {"goal": goal, "dead_end": 1 - goal - astray, "astray": astray}

    def forced(self, prefix: NDArray[np.int64]) -> NDArray[np.int64]:
        """Impose the right way at turns, so that walks fail only by errors at easy steps."""
        maps = self._maps(prefix)
        at_B = follow_walks(maps, prefix[:, self.sampled_from :])[:, -1]
        turn_BU, right_BUV = maps.turns(self.steps)
        row_B, node_B = np.arange(len(prefix)), np.maximum(at_B, 0)
        imposed_B = turn_BU[row_B, node_B] & (at_B >= 0)
        return np.where(imposed_B, right_BUV[row_B, node_B].argmax(axis=1), -1)

    # --- answers and lines of text -------------------------------------------------------------------------------

    def solve(self, prompt: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the walk to the goal, and `won`, for settings without slips and detours."""
        if not self.determined:
            raise TaskError("maze: walks are not determined unless maze.slip and maze.detours are 0")
        self.check_ids(prompt)
        if len(prompt) != self.sampled_from:
            raise TaskError(f"maze: a prompt has {self.sampled_from} tokens, not {len(prompt)}")
        require(bool((prompt < self.nodes).all()), "maze: a prompt's tokens", int(prompt.max()), f"nodes below {self.nodes}")
        maps = self._maps(prompt[None])
        _, right_BUV = maps.turns(self.steps)
        walk = [int(maps.start_B[0])]
        while walk[-1] != maps.goal_B[0]:
            following = np.flatnonzero(right_BUV[0, walk[-1]])
            if len(following) == 0 or len(walk) > self.steps:
                raise TaskError(f"maze: no way of {self.steps} steps leads from {walk[0]} to {maps.goal_B[0]}")
            walk.append(int(following[0]))
        return np.array([*walk[1:], self.nodes])

    def format(self, row: Batch) -> str:
        """Write `9,3|7,2|.../7,4=2,9,3,4 won`: edges, start and goal, walk and outcome."""
        (begin, end), tokens = row.answer[0].tolist(), row.tokens[0].tolist()
        *edges, ends = [(tokens[i], tokens[i + 1]) for i in range(0, begin, 2)]
        return text.write(text.Line(edges, *ends, tokens[begin : end - 1], self.word(tokens[end - 1])))

    def parse(self, line: str) -> Batch:
        stated = text.read(line, self.nodes)
        require(len(stated.edges) == self.edges, "maze: the number of edges", len(stated.edges), str(self.edges))
        kinds = text.find_choices(stated, self.corridor)
        turns = list(kinds.values()).count("turn")
        require(turns == self.turns, "maze: the number of turns", turns, str(self.turns))
        nodes = {node for edge in stated.edges for node in edge}
        require(len(nodes) == self.used, "maze: the number of different nodes", len(nodes), str(self.used))
        text.check_walk(stated)
        lost = self.slip == 0 and stated.outcome == "lost"
        require(not lost, "maze: the end of a walk where maze.slip is 0", stated.walk[-1], f"the goal {stated.goal}")
        roles = [self.role(kinds.get(node, "forced")) for node in [stated.start, *stated.walk[:-1]]]
        walk_BS, roles_BS = (np.array([(*values, *[0] * (self.steps - len(values)))]) for values in (stated.walk, roles))
        ends = np.array([[stated.start, stated.goal]])
        return self._build(np.array([stated.edges]), ends, walk_BS, roles_BS, np.array([len(stated.walk)]))

    # --- arrays --------------------------------------------------------------------------------------------------

    def _assign_nodes(self, ids_BI: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Divide ids into the path (B, 1 + S), the ways to dead ends (B, J, L) and the other ways of detours (B, J)."""
        ends = np.cumsum([1 + self.steps, self.turns * self.block, self.detours])
        path_BS, dead, other_BJ, _ = np.split(ids_BI, ends, axis=1)
        return path_BS, dead.reshape(len(ids_BI), self.turns, self.block), other_BJ

    def _build(
        self,
        edges_BE2: NDArray[np.int64],
        ends_B2: NDArray[np.int64],
        walk_BS: NDArray[np.int64],
        roles_BS: NDArray[np.int64],
        steps_B: NDArray[np.int64],
    ) -> Batch:
        """Build sequences.

        Args:
            edges_BE2: The edges in order.
            ends_B2: Start and goal.
            walk_BS: Nodes after the start, of which the first `steps_B` count.
            roles_BS: The role of each step.
            steps_B: The number of steps of each walk.
        """
        size, steps_B1 = len(edges_BE2), steps_B[:, None]
        won_B1 = np.take_along_axis(walk_BS, steps_B1 - 1, axis=1) == ends_B2[:, 1:]
        outcome_B1 = np.where(won_B1, self.nodes, self.nodes + 1)
        inside_BS = np.arange(self.steps) < steps_B1
        walked = np.concatenate([np.where(inside_BS, walk_BS, outcome_B1), outcome_B1], axis=1)  # padded with the outcome
        roles = np.zeros((size, self.length), dtype=np.int8)
        roles[:, : self.sampled_from] = PROMPT
        roles[:, self.sampled_from : -1] = np.where(inside_BS, roles_BS, 0)
        begin_B1 = np.full((size, 1), self.sampled_from)
        np.put_along_axis(roles, begin_B1 + steps_B1, OUTCOME, axis=1)
        tokens = np.concatenate([edges_BE2.reshape(size, -1), ends_B2, walked], axis=1)
        return self.rows(tokens, roles, np.concatenate([begin_B1, begin_B1 + steps_B1 + 1], axis=1))
