"""Build fixed random graphs, and divide the sequences that they make valid between the splits."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.core.rng import stream
from tasks.core.splits import SPLITS, partition_by_train_share
from tasks.settings import require


class World(NamedTuple):
    """The valid sequences of a graph.

    Attributes:
        valid: (instances, 3) ids of the nodes of each sequence, in one order, sorted by code.
        codes: (instances,) `encode` of each sequence.
        split: (instances,) the split of each, an index into `SPLITS`.
        through_N: Triangles through each node; empty for families.
        through_NN: Triangles through each pair of nodes; empty for families.
    """

    valid: NDArray[np.int64]
    codes: NDArray[np.int64]
    split: NDArray[np.int8]
    through_N: NDArray[np.int64]
    through_NN: NDArray[np.int64]


@lru_cache(maxsize=16)
def build_families(parents: int, children: int, train_share: float) -> World:
    """Build the world of families: every child has one random parent, and a sequence is two siblings and their parent.

    Args:
        parents: Number of parents, whose ids are 1, 2, ...; those of the children follow.
        children: Number of children of each parent.
        train_share: Share of the sequences of each parent in training.

    Raises:
        TaskError: If a parent has too few sequences to divide.
    """
    key = f"discovery/sibling/{parents}/{children}"
    ids_PC = 1 + parents + stream(key, seed=0, index=0).permutation(parents * children).reshape(parents, children)
    ids_PC.sort(axis=1)
    first, second = np.triu_indices(children, k=1)
    parent_P = np.arange(1, parents + 1)
    valid = np.stack([ids_PC[:, first], ids_PC[:, second], np.repeat(parent_P[:, None], len(first), axis=1)], axis=2)
    empty = np.zeros(0, dtype=np.int64)
    return _divide(valid.reshape(-1, 3), 1 + parents + parents * children, train_share, key, empty, empty, parents)


@lru_cache(maxsize=16)
def build_triangles(nodes: int, degree: int, train_share: float) -> World:
    """Build the world of the triangles in a graph with distinct random links.

    Args:
        nodes: Number of nodes, whose ids are 1, 2, ...
        degree: Mean number of links of a node.
        train_share: Share of the triangles in training.

    Raises:
        TaskError: If there are too few triangles to divide.
    """
    key = f"discovery/triangle/{nodes}/{degree}"
    first, second = np.triu_indices(nodes, k=1)
    links = stream(key, seed=0, index=0).permutation(len(first))[: nodes * degree // 2]
    linked_NN = np.zeros((1 + nodes, 1 + nodes), dtype=bool)  # id 0 is not a node
    linked_NN[1 + first[links], 1 + second[links]] = True  # from the smaller to the larger id
    through_NN = np.zeros(linked_NN.shape, dtype=np.int64)
    found = []
    for node in range(1, nodes + 1):
        larger = np.flatnonzero(linked_NN[node])
        i, j = np.nonzero(linked_NN[np.ix_(larger, larger)])
        found.append(np.stack([np.full(len(i), node), larger[i], larger[j]], axis=1))
    valid = np.concatenate(found)
    allowed = f"large enough that {nodes} nodes with random links have {len(SPLITS)} triangles, one for each split"
    require(len(valid) >= len(SPLITS), "discovery.degree", degree, f"{allowed} ({len(valid)} here)")
    for one, other in ((0, 1), (0, 2), (1, 2)):
        np.add.at(through_NN, (valid[:, one], valid[:, other]), 1)
    through_NN += through_NN.T
    through_N = np.bincount(valid.ravel(), minlength=1 + nodes)
    return _divide(valid, 1 + nodes, train_share, key, through_N, through_NN)


def _divide(
    valid: NDArray[np.int64],
    ids: int,
    train_share: float,
    key: str,
    through_N: NDArray[np.int64],
    through_NN: NDArray[np.int64],
    families: int = 1,
) -> World:
    """Build a world; each family, one of equal blocks of consecutive sequences, is divided exactly.

    Args:
        valid: (instances, 3) ids.
        ids: Number of ids.
        train_share: Share of the sequences of each family in training.
        key: Key of the random division.
        through_N: As in `World`.
        through_NN: As in `World`.
        families: Number of families.
    """
    codes = encode(valid, ids)
    order = np.argsort(codes)
    each = len(valid) // families
    keys = [key, *(f"{key}/{family}" for family in range(1, families))]
    setting, what = "discovery.train_share", "triangles" if families == 1 else "pairs of children of a parent"
    splits = [partition_by_train_share(each, train_share, key=family, setting=setting, what=what) for family in keys]
    split = np.concatenate(splits)
    world = World(valid[order], codes[order], split[order], through_N, through_NN)
    for array in world:
        array.flags.writeable = False
    return world


def encode(sequences_B3: NDArray[np.integer], ids: int) -> NDArray[np.int64]:
    """Return one number for each sequence (B, 3) of ids below `ids`, in lexicographic order."""
    codes: NDArray[np.int64] = (sequences_B3[:, 0] * ids + sequences_B3[:, 1]) * ids + sequences_B3[:, 2]
    return codes
