"""Trees of drafts: which tokens of each prediction head are drafted together (Medusa, Cai et al. 2024, arXiv 2401.10774)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from lab.errors import LabError, check_count

FORMAT = 1
"""Version of a tree's JSON."""


@dataclass(frozen=True)
class Tree:
    """Drafts of several continuations at once.

    A node is a path of ranks: (0, 2) is the third most probable token of prediction head 3 after the most probable one of head
    2. Each node's parent, the path without its last rank, is a node too. The root, the token that head 1 chose, is no node.

    Attributes:
        paths: The nodes, parents before children.
    """

    paths: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if not self.paths:
            raise LabError("a tree must have at least one node")
        seen: set[tuple[int, ...]] = {()}
        for path in self.paths:
            if path[:-1] not in seen or path in seen or path[-1] < 0:
                raise LabError(f"a tree's nodes must each be new and follow their parents; {list(path)} does not")
            seen.add(path)

    @classmethod
    def chain(cls, heads: int) -> Tree:
        """Return blockwise drafts: the most probable token of each of the heads 2 to `heads` (Stern et al. 2018)."""
        if heads < 2:
            raise LabError(f"heads must be at least 2 for a draft, not {heads}")
        return cls(tuple((0,) * depth for depth in range(1, heads)))

    @property
    def is_chain(self) -> bool:
        """Whether no node has a sibling, and all are most probable tokens."""
        return len(self.paths) == self.depth and not any(map(any, self.paths))

    @cached_property
    def depth(self) -> int:
        """Length of the longest path; prediction heads 2 to depth + 1 are used."""
        return max(map(len, self.paths))

    @property
    def heads(self) -> int:
        """Prediction heads that are used, head 1 included."""
        return self.depth + 1

    @cached_property
    def rows(self) -> int:
        """R: tokens of a forward pass: the root and the nodes."""
        return 1 + len(self.paths)

    @cached_property
    def depths(self) -> Tensor:
        """(R,) int64, tokens from the root to each row."""
        return torch.tensor([0, *map(len, self.paths)])

    @cached_property
    def ranks(self) -> Tensor:
        """(R,) int64, rank of each node among its head's tokens; 0 for the root."""
        return torch.tensor([0, *(path[-1] for path in self.paths)])

    @cached_property
    def parents(self) -> Tensor:
        """(R,) int64, the row of each node's parent; 0 for the root."""
        return torch.tensor([0, *(self._row(path[:-1]) for path in self.paths)])

    @cached_property
    def path_rows(self) -> Tensor:
        """(R, J) int64 with J = depth + 1, the rows from the root to each row, padded with the row itself."""
        found = []
        for path in ((), *self.paths):
            rows = [self._row(path[:length]) for length in range(len(path) + 1)]
            found.append(rows + [rows[-1]] * (self.depth - len(path)))
        return torch.tensor(found)

    @cached_property
    def mask(self) -> Tensor:
        """(R, R) bool attention mask: a row (first) attends to itself and to those before it on its path."""
        mask = torch.zeros(self.rows, self.rows, dtype=torch.bool)
        return mask.scatter_(1, self.path_rows, value=True)

    def to_json(self, n_future: int) -> str:
        """Return the tree as JSON, for a network with `n_future` prediction heads."""
        return json.dumps({"format": FORMAT, "n_future": n_future, "paths": self.paths})

    @classmethod
    def from_json(cls, text: str, n_future: int) -> Tree:
        """Read a tree for a network with `n_future` prediction heads.

        Raises:
            LabError: If the text is no tree, or one for another number of heads.
        """
        try:
            content: Any = json.loads(text)
        except json.JSONDecodeError as error:
            raise LabError(f"a tree must be JSON: {error}") from None
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise LabError(f"a tree must be a JSON object of format {FORMAT}")
        paths = content.get("paths")
        if not isinstance(paths, list) or not all(_is_path(path) for path in paths):
            raise LabError("a tree's paths must be lists of ranks, such as [[0], [1], [0, 0]]")
        if content.get("n_future") != n_future:
            raise LabError(f"a tree must be for n_future = {n_future}, not {content.get('n_future')}")
        tree = cls(tuple(tuple(path) for path in paths))
        if tree.heads > n_future:
            raise LabError(f"a tree must use at most n_future = {n_future} heads, not {tree.heads}")
        return tree

    def _row(self, path: tuple[int, ...]) -> int:
        return self.paths.index(path) + 1 if path else 0


def derive_tree(ranks: Iterable[tuple[int, ...]], nodes: int) -> Tree:
    """Derive the tree that maximises the expected number of accepted tokens.

    A node is accepted where the right tokens have the ranks of its path; its gain is the share of such positions. The `nodes`
    paths of the largest gains form a tree, since a path is never more frequent than its parent: the greedy choice is optimal.

    Args:
        ranks: For each position of a calibration the rank of the right token among those of heads 2, 3, ...
        nodes: Most nodes of the tree.

    Raises:
        LabError: If `nodes` is below 1 or no position has a rank.
    """
    nodes = check_count("nodes", nodes)
    counts = Counter(line[:depth] for line in ranks for depth in range(1, len(line) + 1))
    if not counts:
        raise LabError("a tree needs sequences with at least 2 new tokens: in none of these could a draft be used")
    best = sorted(counts, key=lambda path: (-counts[path], len(path), path))[:nodes]
    return Tree(tuple(sorted(best, key=lambda path: (len(path), path))))


def _is_path(path: Any) -> bool:
    return isinstance(path, list) and bool(path) and all(type(rank) is int for rank in path)
