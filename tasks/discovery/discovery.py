"""Open-ended discovery in a fixed graph (Nagarajan et al. 2025, "Roll the dice & look before you leap").

A sequence of each kind:

    ^ c17 c40 p3        sibling: two children of one parent, then their parent
    ^ n5 n12 n9         triangle: three nodes of which any two are linked

Training shows a share of all valid sequences. A model that has learnt the graph can sample valid sequences that training never
shows. It must plan the parent before its children, although the parent comes last.

Shapes: B sequences, V vocabulary, N nodes and id 0, F nodes in any order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.core.base import PADDING, Batch, Bound, Task
from tasks.core.splits import SPLITS
from tasks.core.strata import Stratum
from tasks.discovery.graphs import World, build_families, build_triangles, encode
from tasks.errors import TaskError
from tasks.settings import require

BEGIN = 0
"""Id of the first token of every sequence, after which the others are sampled."""
MOST = 4_000_000
"""Most valid sequences."""


@dataclass(frozen=True, kw_only=True)
class Discovery(Task):
    """The sequences that a fixed random graph makes valid, divided exactly between the splits."""

    name: ClassVar[str] = "discovery"
    summary: ClassVar[str] = "sample new combinations that a memorised graph allows"
    source: ClassVar[str] = "Nagarajan et al. 2025"
    role_labels: ClassVar[Mapping[str, str]] = {
        "begin": "begin token",
        "child_first": "first child",
        "child_second": "second child",
        "parent": "parent of both children",
        "node_first": "first node",
        "node_second": "second node",
        "node_third": "third node",
    }
    headline: ClassVar[str] = "sampled/creative"
    splits_itself: ClassVar[bool] = True

    kind: Literal["sibling", "triangle"] = "sibling"
    """The rule for valid sequences: two children of a parent, or the nodes of a triangle."""
    parents: int = 5
    """`sibling`: number of parents."""
    children: int = 100
    """`sibling`: number of children of each parent."""
    nodes: int = 48
    """`triangle`: number of nodes of the graph."""
    degree: int = 12
    """`triangle`: mean number of links of a node, which lead to random nodes."""
    train_share: float = 0.5
    """Share of all valid sequences in training; validation and test halve the rest."""

    def check(self) -> None:
        require(self.parents >= 2, "discovery.parents", self.parents, "at least 2")
        require(self.children >= 3, "discovery.children", self.children, "at least 3, with a pair for each split")
        require(4 <= self.nodes <= 1024, "discovery.nodes", self.nodes, "between 4 and 1024")
        most = self.nodes - 1
        require(1 <= self.degree <= most, "discovery.degree", self.degree, f"between 1 and nodes - 1 = {most}")
        require(0 < self.train_share < 1, "discovery.train_share", self.train_share, "between 0 and 1, both excluded")
        if self._siblings:
            setting, value, expected = "children", self.children, self.parents * math.comb(self.children, 2)
            given = f" with parents = {self.parents}"
        else:
            setting, value, given = "degree", self.degree, ""
            expected = round(math.comb(self.nodes, 3) * (self.degree / most) ** 3)
        allowed = f"so small that{given} there are at most {MOST:,} valid sequences, which are held in memory"
        require(expected <= MOST, f"discovery.{setting}", value, allowed)
        _ = self._world  # rejects a graph that cannot be divided

    @property
    def roles(self) -> tuple[str, ...]:
        nodes = ("child_first", "child_second", "parent") if self._siblings else ("node_first", "node_second", "node_third")
        return (PADDING, "begin", *nodes)

    @property
    def vocab_size(self) -> int:
        return 1 + (self.parents * (1 + self.children) if self._siblings else self.nodes)

    @property
    def length(self) -> int:
        return 4

    @property
    def valid(self) -> NDArray[np.int64]:
        """(instances, 3) int64, the ids of all valid sequences, each in one order of its nodes."""
        return self._world.valid

    def word(self, token: int) -> str:
        if token == BEGIN:
            return "^"
        if not self._siblings:
            return f"n{token}"
        return f"p{token}" if token <= self.parents else f"c{token}"

    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        valid = self._world.valid[self._world.split == SPLITS.index(split)]
        drawn_B3 = valid[rng.integers(len(valid), size=size)]
        free = self._free
        order_BF = rng.random((size, free)).argsort(axis=1)
        drawn_B3[:, :free] = np.take_along_axis(drawn_B3[:, :free], order_BF, axis=1)
        return self._with_begin(drawn_B3)

    def instances(self, tokens: NDArray[np.int64]) -> NDArray[np.integer]:
        """Return the nodes in canonical order."""
        end = 1 + self._free
        return np.concatenate([np.sort(tokens[:, 1:end], axis=1), tokens[:, end:]], axis=1)

    def floor(self, role: str) -> float | None:
        """Return 0 for `parent`, ln(children - 1) for `child_second`, and ln of the number of all children for `child_first`.

        These are given the graph, but not its division into splits. Floors in triangles depend on the nodes: see `optimum`.
        """
        children = self.parents * self.children
        floors = {"child_first": np.log(children), "child_second": np.log(self.children - 1), "parent": 0.0, "begin": 0.0}
        floor = floors.get(self.roles[self.role(role)])
        return None if floor is None else float(floor)

    def chance(self, role: str) -> float | None:
        """Return the share of the most frequent node in all valid sequences."""
        if self.role(role) <= self.role("begin"):
            return None
        if self._siblings:
            return 1 / self.parents if role == "parent" else 1 / (self.parents * self.children)
        return float(np.bincount(self.valid.ravel()).max() / self.valid.size)

    def optimum(self, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """Compute the loss of the predictor that knows the graph, under which all valid sequences are equally likely."""
        if self._siblings:
            choices = [1, self.parents * self.children, self.children - 1, 1]
            return np.broadcast_to(np.log(choices), tokens.shape)
        through_N, through_NN = self._world.through_N, self._world.through_NN
        first_B, second_B = tokens[:, 1], tokens[:, 2]
        losses = np.zeros(tokens.shape)
        losses[:, 1] = np.log(through_N.sum() / through_N[first_B])
        losses[:, 2] = np.log(2 * through_N[first_B] / through_NN[first_B, second_B])  # a triangle has two links at a node
        losses[:, 3] = np.log(through_NN[first_B, second_B])
        return losses

    @property
    def sampled_from(self) -> int:
        return 1

    def strata(self) -> tuple[Stratum, ...]:
        """Return the families, which are equally likely; all triangles are one stratum."""
        families = self.parents if self._siblings else 1
        train, validation, test = (np.bincount(self._world.split, minlength=3) // families).tolist()
        names = [f"children of p{1 + parent}" for parent in range(families)] if self._siblings else ["all"]
        return tuple(Stratum(name=name, chance=1 / families, split=(train, validation, test)) for name in names)

    def stratum(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        return tokens[:, 3] - 1 if self._siblings else np.zeros(len(tokens), dtype=np.int64)

    def judge(self, tokens: NDArray[np.int64]) -> dict[str, float]:
        """Compute the shares of samples that are `valid`, `novel` and `unique`, and their product `creative`.

        The graph allows a valid sample. A novel sample is valid and not in training, in any order of its nodes; its share is of
        the valid samples. `unique` is the share of different samples among the novel ones. So `creative` is the number of
        different, novel samples as a share of all samples. A share of no samples is 0.
        """
        code_B = encode(self.instances(tokens), self.vocab_size)
        index_B = np.minimum(np.searchsorted(self._world.codes, code_B), len(self._world.codes) - 1)
        valid_B = (self._world.codes[index_B] == code_B) & (tokens[:, 0] == BEGIN)
        novel_B = valid_B & (self._world.split[index_B] != SPLITS.index("train"))
        counts = [len(tokens), int(valid_B.sum()), int(novel_B.sum()), len(np.unique(code_B[novel_B]))]
        shares = [part / whole if whole else 0.0 for whole, part in pairwise(counts)]
        return {**dict(zip(("valid", "novel", "unique"), shares, strict=True)), "creative": counts[-1] / counts[0]}

    def latents(self, batch: Batch) -> Mapping[str, NDArray[np.generic]]:
        """Return the `parent` of siblings, from 0, from the first child on."""
        if not self._siblings:
            return {}
        parent_V = np.zeros(self.vocab_size, dtype=np.int64)
        parent_V[self.valid[:, :2]] = self.valid[:, 2:]
        known_T = np.arange(self.length) >= 1
        return {"parent": np.where(known_T, parent_V[batch.tokens[:, 1:2]] - 1, -1)}

    def label(self, tokens: NDArray[np.int64]) -> Batch:
        """Label sequences of any split."""
        code_B = encode(self.instances(tokens), self.vocab_size)
        for wrong in np.flatnonzero((tokens[:, 0] != BEGIN) | ~np.isin(code_B, self._world.codes))[:1]:
            begin, *nodes = tokens[wrong].tolist()
            require(begin == BEGIN, "discovery: token 0", begin, f"{BEGIN}, with which every sequence begins")
            what = "two children of one parent and then that parent" if self._siblings else "a triangle"
            words = " ".join(map(self.word, nodes))
            raise TaskError(f"discovery: {words} is not {what}{self._remedy(nodes)}")
        return self._with_begin(tokens[:, 1:])

    def _remedy(self, nodes: list[int]) -> str:
        """Name the parent of two siblings, for a message; return nothing for other nodes."""
        parents = self.valid[(self.valid[:, :2] == sorted(nodes[:2])).all(axis=1), 2] if self._siblings else []
        return "".join(f", which is {parent} ({self.word(int(parent))})" for parent in parents)

    def instance_count(self) -> Bound:
        return Bound(len(self.valid))

    def _with_begin(self, drawn_B3: NDArray[np.int64]) -> Batch:
        """Return sequences of these nodes after the first token."""
        tokens = np.concatenate([np.full((len(drawn_B3), 1), BEGIN), drawn_B3], axis=1)
        return self.rows(tokens, np.broadcast_to(np.arange(1, 5), tokens.shape))

    @property
    def _siblings(self) -> bool:
        return self.kind == "sibling"

    @property
    def _free(self) -> int:
        """Number of nodes of a sequence that come in any order."""
        return 2 if self._siblings else 3

    @property
    def _world(self) -> World:
        if self._siblings:
            return build_families(self.parents, self.children, self.train_share)
        return build_triangles(self.nodes, self.degree, self.train_share)
