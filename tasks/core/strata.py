"""Strata: parts of a task's distribution that have the same share in every split.

A split keeps its own instances and rejects the others. Where a part of the distribution has few instances, such as the sums of
one-digit numbers, a hash gives a split more or fewer of them than its share, and rejection would distort the distribution. So a
task ranks the instances of its small **blocks**, which are sets of equally likely instances. Each block is divided exactly, and
sequences are kept with a probability that corrects for the remainder of the division. Every block, and so every stratum, then
has the share in every split that the task states. Shapes: B sequences.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import log10, perm
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.core.splits import SLOTS, partition

MOST_RANKED = 500_000
"""Most instances of a block that is divided exactly; a hash divides larger ones, with shares that are right to about 0.6 %."""
_DIGITS = 1000
LARGEST = 10**_DIGITS
"""The largest count, so that those of any settings are fast."""


def capped_power(base: int, exponent: int) -> int:
    """Return `base` ** `exponent`, at most 10^1000."""
    exact: int = base**exponent if exponent * log10(base) < _DIGITS else LARGEST
    return exact


def capped_permutations(things: int, count: int) -> int:
    """Return the number of ordered choices of `count` out of `things` things, at most 10^1000."""
    return perm(things, count) if count * log10(things) < _DIGITS else LARGEST


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """A part of the stated distribution, such as all sequences of one period.

    Attributes:
        name: As people read it, such as `period 4`.
        chance: Its share of the stated distribution.
        blocks: (instances of a block, number of such blocks) by size, for a task that ranks its instances.
        split: Instances in train, validation and test, for a task that divides its instances itself.
    """

    name: str
    chance: float
    blocks: tuple[tuple[int, int], ...] = ()
    split: tuple[int, int, int] | None = None


class Ranks(NamedTuple):
    """The ranks of instances within their blocks.

    Attributes:
        rank_B: (B,) int64, the number of the instance within its block, from 0.
        size_B: (B,) int64, the `ranked_size` of its block; where it is 0, `rank_B` has no meaning.
        block_B: (B,) uint64, a hash of the block.
    """

    rank_B: NDArray[np.int64]
    size_B: NDArray[np.int64]
    block_B: NDArray[np.uint64]


def ranked_size(instances: int) -> int:
    """Return the number of instances of a block if it is divided exactly, else 0."""
    return instances if instances <= MOST_RANKED else 0


def split_sizes(instances: int) -> tuple[int, int, int]:
    """Return the numbers of instances of train, validation and test in a block that is divided exactly."""
    other = -(-instances // SLOTS)
    return instances - 2 * other, other, other


def split_of_blocks(ranks: Ranks, by_hash_B: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return the split of each instance, (B,) int8: by its rank in a small block, by its hash in a large one."""
    split_B = by_hash_B.copy()
    for size in np.unique(ranks.size_B[ranks.size_B > 0]):
        here = np.flatnonzero(ranks.size_B == size)
        shifted = (ranks.rank_B[here] + (ranks.block_B[here] % np.uint64(size)).astype(np.int64)) % size
        split_B[here] = _divide(int(size))[shifted]
    return split_B


def kept_shares(blocks: tuple[int, ...]) -> tuple[float, float, float]:
    """Return the share of drawn sequences that each split keeps: its smallest share of any of the blocks, given their sizes."""
    least = [
        min([hashed, *(split_sizes(size)[split] / size for size in blocks if ranked_size(size))])
        for split, hashed in enumerate(_HASHED)
    ]
    return least[0], least[1], least[2]


def keep_probability(size_B: NDArray[np.int64], split: int, share: float) -> NDArray[np.float64]:
    """Return the probability of keeping each sequence of a split, (B,), with which the split keeps a `share` of every block.

    Args:
        size_B: `ranked_size` of the block of each sequence.
        split: Index into `SPLITS`.
        share: From `kept_shares`.
    """
    different, inverse = np.unique(size_B, return_inverse=True)
    of_block = [split_sizes(int(size))[split] / int(size) if size else _HASHED[split] for size in different]
    return np.asarray(share / np.array(of_block)[inverse])


_HASHED = ((SLOTS - 2) / SLOTS, 1 / SLOTS, 1 / SLOTS)
"""Shares of the splits where a hash divides instances."""


@lru_cache(maxsize=256)
def _divide(size: int) -> NDArray[np.int8]:
    """Return the split of each rank in a block of this size; the hash of a block shifts its ranks first."""
    train, validation, test = split_sizes(size)
    return partition(size, (train / size, validation / size, test / size), key=f"block/{size}")
