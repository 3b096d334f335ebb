"""Open-ended discovery in a fixed graph (Nagarajan et al. 2025, "Roll the dice & look before you leap").

A sequence, for example:

    ^ c17 c40 p3        sibling: two children of one parent, then their parent
    ^ n5 n12 n9         triangle: three nodes of which any two are linked

Training shows a share of all valid sequences. A model that has learned the graph samples others: valid sequences that were
never shown. The parent is the plan for its children, though it comes last.
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
"""The first token of every sequence, from which it is sampled."""
MOST = 4_000_000
"""Most valid sequences."""


@dataclass(frozen=True, kw_only=True)
class Discovery(Task):
    """Sequences that a fixed random graph makes valid; a keyed, exact partition divides them between the splits."""

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
    """`sibling`: families."""
    children: int = 100
    """`sibling`: children of each parent."""
    nodes: int = 48
    """`triangle`: nodes of the graph."""
    degree: int = 12
    """`triangle`: average links of a node, between random nodes."""
    train_share: float = 0.5
    """Share of all valid sequences (in any order) in training; validation and test halve the rest."""

    def check(self) -> None:
        require(self.parents >= 2, "discovery.parents", self.parents, "at least 2")
        require(self.children >= 2, "discovery.children", self.children, "at least 2")
        require(3 <= self.nodes <= 1024, "discovery.nodes", self.nodes, "between 3 and 1024")
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
        places = ("child_first", "child_second", "parent") if self._siblings else ("node_first", "node_second", "node_third")
        return (PADDING, "begin", *places)

    @property
    def vocab_size(self) -> int:
        return 1 + (self.parents * (1 + self.children) if self._siblings else self.nodes)

    @property
    def length(self) -> int:
        return 4

    @property
    def valid(self) -> NDArray[np.int64]:
        """All valid sequences, each in one order only: (instances, 3) ids."""
        return self._world.valid

    def word(self, token: int) -> str:
        if token == BEGIN:
            return "^"
        if not self._siblings:
            return f"n{token}"
        return f"p{token}" if token <= self.parents else f"c{token}"

    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        mine = self._world.valid[self._world.split == SPLITS.index(split)]
        drawn_B3 = mine[rng.integers(len(mine), size=size)]
        free = 2 if self._siblings else 3  # nodes whose order is free
        order_BF = rng.random((size, free)).argsort(axis=1)
        drawn_B3[:, :free] = np.take_along_axis(drawn_B3[:, :free], order_BF, axis=1)
        return self._with_begin(drawn_B3)

    def instances(self, tokens: NDArray[np.int64]) -> NDArray[np.integer]:
        """The sequence with its nodes in canonical order."""
        free = 2 if self._siblings else 3
        return np.concatenate([np.sort(tokens[:, 1 : 1 + free], axis=1), tokens[:, 1 + free :]], axis=1)

    def floor(self, role: str) -> float | None:
        """Given the graph, not the division into splits: `parent` 0, `child_second` ln(children - 1), `child_first` ln of all.

        In a triangle it depends on the nodes: see `optimum`.
        """
        children = self.parents * self.children
        floors = {"child_first": np.log(children), "child_second": np.log(self.children - 1), "parent": 0.0, "begin": 0.0}
        floor = floors.get(self.roles[self.role(role)])
        return None if floor is None else float(floor)

    def chance(self, role: str) -> float | None:
        """The share of the most frequent node among all valid sequences."""
        if self.role(role) <= self.role("begin"):
            return None
        if self._siblings:
            return 1 / self.parents if role == "parent" else 1 / (self.parents * self.children)
        return float(np.bincount(self.valid.ravel()).max() / self.valid.size)

    def optimum(self, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """The predictor that knows the graph and gives all valid sequences, in any order, the same probability."""
        if self._siblings:
            choices = [1, self.parents * self.children, self.children - 1, 1]
            return np.broadcast_to(np.log(choices), tokens.shape)
        through_N, through_NN = self._world.through_N, self._world.through_NN  # triangles through a node, and through a link
        first, second = tokens[:, 1], tokens[:, 2]
        losses = np.zeros(tokens.shape)
        losses[:, 1] = np.log(through_N.sum() / through_N[first])
        losses[:, 2] = np.log(2 * through_N[first] / through_NN[first, second])  # each triangle has two links at a node
        losses[:, 3] = np.log(through_NN[first, second])
        return losses

    @property
    def sampled_from(self) -> int:
        return 1

    def strata(self) -> tuple[Stratum, ...]:
        """The families, uniform; all triangles are one stratum."""
        families = self.parents if self._siblings else 1
        train, validation, test = (np.bincount(self._world.split, minlength=3) // families).tolist()
        names = [f"children of p{1 + parent}" for parent in range(families)] if self._siblings else ["all"]
        return tuple(Stratum(name=name, chance=1 / families, split=(train, validation, test)) for name in names)

    def stratum(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        return tokens[:, 3] - 1 if self._siblings else np.zeros(len(tokens), dtype=np.int64)

    def judge(self, tokens: NDArray[np.int64]) -> dict[str, float]:
        """Measure whether samples are valid, new and different.

        `valid`: the share that the graph allows. `novel`: of these, the share that training does not show, in any order of the
        nodes. `unique`: of these, the share of different ones. Their product `creative` is the number of different, new, valid
        sequences as a share of all samples. A share of no samples is 0.
        """
        codes = encode(self.instances(tokens), self.vocab_size)
        place = np.minimum(np.searchsorted(self._world.codes, codes), len(self._world.codes) - 1)
        valid = (self._world.codes[place] == codes) & (tokens[:, 0] == BEGIN)
        novel = valid & (self._world.split[place] != SPLITS.index("train"))
        counts = [len(tokens), int(valid.sum()), int(novel.sum()), len(np.unique(codes[novel]))]
        shares = [part / whole if whole else 0.0 for whole, part in pairwise(counts)]
        return {**dict(zip(("valid", "novel", "unique"), shares, strict=True)), "creative": counts[-1] / counts[0]}

    def latents(self, batch: Batch) -> Mapping[str, NDArray[np.generic]]:
        """The `parent` of siblings, from the first child on."""
        if not self._siblings:
            return {}
        parent_V = np.zeros(self.vocab_size, dtype=np.int64)
        parent_V[self.valid[:, :2]] = self.valid[:, 2:]
        known_T = np.arange(self.length) >= 1
        return {"parent": np.where(known_T, parent_V[batch.tokens[:, 1:2]] - 1, -1)}

    def label(self, tokens: NDArray[np.int64]) -> Batch:
        """Label sequences of any split."""
        codes = encode(self.instances(tokens), self.vocab_size)
        for wrong in np.flatnonzero((tokens[:, 0] != BEGIN) | ~np.isin(codes, self._world.codes))[:1]:
            begin, *nodes = tokens[wrong].tolist()
            require(begin == BEGIN, "discovery: token 0", begin, f"{BEGIN}, with which every sequence begins")
            what = "two children of one parent and then that parent" if self._siblings else "a triangle"
            words = " ".join(map(self.word, nodes))
            raise TaskError(f"discovery: {words} is not {what}{self._remedy(nodes)}")
        return self._with_begin(tokens[:, 1:])

    def _remedy(self, nodes: list[int]) -> str:
        """Name the right parent of two siblings."""
        same = self.valid[(self.valid[:, :2] == sorted(nodes[:2])).all(axis=1), 2] if self._siblings else []
        return "".join(f", which is {parent} ({self.word(int(parent))})" for parent in same)

    def instance_count(self) -> Bound:
        return Bound(len(self.valid))

    def _with_begin(self, drawn_B3: NDArray[np.int64]) -> Batch:
        tokens = np.concatenate([np.full((len(drawn_B3), 1), BEGIN), drawn_B3], axis=1)
        return self.rows(tokens, np.broadcast_to(np.arange(1, 5), tokens.shape))

    @property
    def _siblings(self) -> bool:
        return self.kind == "sibling"

    @property
    def _world(self) -> World:
        if self._siblings:
            return build_families(self.parents, self.children, self.train_share)
        return build_triangles(self.nodes, self.degree, self.train_share)
