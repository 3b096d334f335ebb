"""Strata: parts of a task's distribution that have the same share in every split.

A split keeps the instances that belong to it and rejects the others. Where a part of the distribution has few instances, such
as the sums of one-digit numbers, a hash gives a split more or fewer of them than its share, and rejection would pass that on
to the distribution. So a task numbers the instances of its small **blocks** (sets of equally likely instances), each block is
divided exactly, and sequences are kept with the chance that makes up for a division that has a remainder. Every split then
has every block, and so every stratum, exactly as often as the task states. Shapes: B sequences.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import log10, perm
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.core.splits import SLOTS, partition

MANY = 500_000
"""Blocks with more instances are divided by a hash, whose shares are right to about 0.6 %."""


_DIGITS = 1000


def power(base: int, exponent: int) -> int:
    """`base` ** `exponent`; counts beyond 10^1000 are cut there, since settings of any size must be counted at once."""
    exact: int = base**exponent if exponent * log10(base) < _DIGITS else 10**_DIGITS
    return exact


def choices(many: int, count: int) -> int:
    """Ordered choices of `count` out of `many` things, cut in the same way."""
    return perm(many, count) if count * log10(many) < _DIGITS else 10**_DIGITS


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """A part of the stated distribution, such as all sequences of one period.

    Attributes:
        name: For people: `period 4`.
        chance: Its share of the stated distribution.
        blocks: (instances in a block, number of such blocks), of a task that numbers its instances.
        split: Instances in train, validation and test, of a task that divides its instances itself.
    """

    name: str
    chance: float
    blocks: tuple[tuple[int, int], ...] = ()
    split: tuple[int, int, int] | None = None


class Numbered(NamedTuple):
    """Where instances stand in their blocks.

    Attributes:
        rank_B: (B,) int64, number of the instance within its block, from 0.
        size_B: (B,) int64, instances of its block, `few` of them; 0 where there are more, and then `rank_B` has no meaning.
        block_B: (B,) uint64, a hash of which block it is.
    """

    rank_B: NDArray[np.int64]
    size_B: NDArray[np.int64]
    block_B: NDArray[np.uint64]


def few(instances: int) -> int:
    """The number of instances of a block that is divided exactly; 0 for a block that is not."""
    return instances if instances <= MANY else 0


def sizes(instances: int) -> tuple[int, int, int]:
    """Instances of train, validation and test in a block that is divided exactly."""
    other = -(-instances // SLOTS)
    return instances - 2 * other, other, other


def split_of_blocks(numbered: Numbered, by_hash_B: NDArray[np.int8]) -> NDArray[np.int8]:
    """The split of each instance, (B,) int8: by its rank in a small block, by its hash in a large one."""
    split_B = by_hash_B.copy()
    for size in np.unique(numbered.size_B[numbered.size_B > 0]):
        here = np.flatnonzero(numbered.size_B == size)
        turned = (numbered.rank_B[here] + (numbered.block_B[here] % np.uint64(size)).astype(np.int64)) % size
        split_B[here] = _divided(int(size))[turned]
    return split_B


def shares(blocks: tuple[int, ...]) -> tuple[float, float, float]:
    """Share of the drawn sequences that each split keeps: the least that any of the blocks has in it."""
    least = [
        min([hashed, *(sizes(size)[split] / size for size in blocks if few(size))]) for split, hashed in enumerate(_HASHED)
    ]
    return least[0], least[1], least[2]


def keep_chance(size_B: NDArray[np.int64], split: int, share: float) -> NDArray[np.float64]:
    """(B,) the chance to keep a sequence of the split, so that of every block the same `share` of all sequences is kept."""
    known, inverse = np.unique(size_B, return_inverse=True)
    of_block = [sizes(int(size))[split] / int(size) if size else _HASHED[split] for size in known]
    return np.asarray(share / np.array(of_block)[inverse])


_HASHED = ((SLOTS - 2) / SLOTS, 1 / SLOTS, 1 / SLOTS)


@lru_cache(maxsize=256)
def _divided(size: int) -> NDArray[np.int8]:
    """The split of each rank in a block of this size; a block's hash says where in it the block begins."""
    train, validation, test = sizes(size)
    return partition(size, (train / size, validation / size, test / size), key=f"block/{size}")
