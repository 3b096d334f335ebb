"""Keyed splits: train, validation and test never share an instance, because the instance alone determines its split.

Shapes: B sequences, K integers of an instance's canonical form.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.core.rng import LARGEST_WORD, digest, stream
from tasks.errors import TaskError

SPLITS = ("train", "validation", "test")
SLOTS = 16
"""Slots of an instance's hash: 14 for training, one for validation, one for test."""
_VALIDATION, _TEST = SLOTS - 2, SLOTS - 1

MOST_LISTED = 20_000
"""Most instances that a task lists, so that the splits divide them exactly."""

Array = NDArray[Any]
"""Any array of a batch."""


def check_split(split: str) -> None:
    """Reject an unknown split.

    Raises:
        TaskError: If it is not one of `SPLITS`.
    """
    if split not in SPLITS:
        raise TaskError(f"split must be one of {', '.join(SPLITS)}, not {split!r}")


@lru_cache(maxsize=64)
def _factors(columns: int, key: int) -> NDArray[np.uint64]:
    """Draw an odd factor for each column of a hash, (columns,) uint64."""
    rng = np.random.Generator(np.random.Philox(key=[digest("hash", columns), key]))
    return rng.integers(0, LARGEST_WORD, columns, dtype=np.uint64, endpoint=True) | np.uint64(1)


def hash_instances(instances: NDArray[np.integer], key: int = 0) -> NDArray[np.uint64]:
    """Compute a keyed 64-bit hash of each instance, the same on every machine.

    Args:
        instances: (B, K) integers, the canonical form of each instance.
        key: Selects one of a family of hashes.

    Returns:
        (B,) uint64.
    """
    factors = _factors(instances.shape[1], key)
    with np.errstate(over="ignore"):  # arithmetic is modulo 2**64
        mixed = (instances.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)) * factors
        word: NDArray[np.uint64] = (mixed ^ (mixed >> np.uint64(29))).sum(axis=1, dtype=np.uint64)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            word = (word ^ (word >> np.uint64(shift))) * np.uint64(factor)
    return word ^ (word >> np.uint64(31))


def fingerprint_rows(codes: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Compute two 64-bit fingerprints of each row of codes that ignore trailing zeros, for instances of different lengths.

    Two instances with the same fingerprints would be in the same split, which does no harm.

    Args:
        codes: (B, K) integers.

    Returns:
        (B, 2) uint64, the sums of code j times the j-th power of a fixed odd base, modulo 2**64.
    """
    bases = np.array([[0x9E3779B97F4A7C15], [0xD1342543DE82EF95]], dtype=np.uint64)
    powers = np.cumprod(np.broadcast_to(bases, (2, codes.shape[1])), axis=1)
    return np.asarray(codes.astype(np.uint64) @ powers.T, dtype=np.uint64)


def split_of(instances: NDArray[np.integer]) -> NDArray[np.int8]:
    """Return the split of each instance by its keyed hash, independent of a task's settings.

    Args:
        instances: (B, K) integers, the canonical form of each instance.

    Returns:
        (B,) int8, indices into `SPLITS`.
    """
    slot = (hash_instances(instances) >> np.uint64(60)).astype(np.int8)
    return (slot >= _VALIDATION).astype(np.int8) + (slot >= _TEST).astype(np.int8)


SplitOf = Callable[[NDArray[np.integer]], NDArray[np.int8]]
"""A function that returns the split of each instance, as `split_of` does."""


def divide_exactly(every: NDArray[np.integer]) -> SplitOf:
    """Build a `split_of` for few instances, in which each split has its exact share and at least one instance.

    Args:
        every: (K, columns) all instances in canonical form, each once, in any order; at least 3.
    """
    words = np.sort(hash_instances(every))
    other = max(1, round(len(words) / SLOTS))
    shares = (1 - 2 * other / len(words), other / len(words), other / len(words))
    splits = partition(len(words), shares, key=f"{digest(words.tobytes()):016x}")
    return lambda instances: splits[np.searchsorted(words, hash_instances(instances))]


class Space(Protocol):
    """A task, as far as the division of its instances needs it."""

    def every_instance(self) -> NDArray[np.integer] | None:
        """List all instances in canonical form, (K, columns), where they are few."""


@lru_cache(maxsize=64)
def split_of_space(space: Space) -> SplitOf:
    """Return the function that finds the split of instances: by an exact division where they are few, else by a hash."""
    every = space.every_instance()
    return split_of if every is None else divide_exactly(every)


def draw_in_split(
    draw: Callable[[int], tuple[Array, ...]],
    kept: Callable[[tuple[Array, ...]], NDArray[np.bool_]],
    size: int,
    split: str,
    share: float,
) -> tuple[Array, ...]:
    """Draw sequences and keep some of them, until there are `size`.

    Args:
        draw: Draws the given number of sequences, as arrays with the same first dimension.
        kept: Returns which of the drawn sequences to keep.
        size: Number of sequences to return.
        split: One of `SPLITS`, for the message.
        share: Expected share of the drawn sequences that are kept.

    Raises:
        TaskError: If the split has too few instances.
    """
    found: list[tuple[Array, ...]] = []
    have = 0
    for _ in range(64):
        drawn = draw(int((size - have) / share * 1.1) + 8)
        inside = np.flatnonzero(kept(drawn))[: size - have]
        found.append(tuple(array[inside] for array in drawn))
        have += len(inside)
        if have == size:
            return found[0] if len(found) == 1 else tuple(np.concatenate(arrays) for arrays in zip(*found, strict=True))
    raise TaskError(f"found only {have} of {size} instances for the {split} split: these settings have too few instances")


def partition(instances: int, shares: tuple[float, float, float], *, key: str) -> NDArray[np.int8]:
    """Divide numbered instances between the three splits, each with its exact share.

    Args:
        instances: Number of instances.
        shares: Shares of train, validation and test, whose sum is 1.
        key: Key of the random division, so that different tasks are divided differently.

    Returns:
        (instances,) int8, indices into `SPLITS`.

    Raises:
        TaskError: If a split would be empty.
    """
    sizes = [round(instances * share) for share in shares[:2]]
    sizes.append(instances - sum(sizes))
    if min(sizes) < 1:
        raise TaskError(f"{instances} instances are too few to divide into train, validation and test as {shares}")
    order = stream(f"partition/{key}", seed=0, index=0).permutation(instances)
    splits = np.empty(instances, dtype=np.int8)
    splits[order] = np.repeat(np.arange(3, dtype=np.int8), sizes)
    return splits


def partition_by_train_share(instances: int, train_share: float, *, key: str, setting: str, what: str) -> NDArray[np.int8]:
    """Divide numbered instances: a share goes to training, and validation and test halve the rest.

    Args:
        instances: Number of instances.
        train_share: The share, between 0 and 1.
        key: As of `partition`.
        setting: Name of the setting that states the share, for the message: `modular.train_share`.
        what: The instances in words, for the message: `pairs`.

    Returns:
        (instances,) int8, indices into `SPLITS`.

    Raises:
        TaskError: If a split would be empty.
    """
    rest = (1 - train_share) / 2
    try:
        return partition(instances, (train_share, rest, rest), key=key)
    except TaskError as error:
        allowed = f"a share that gives each split at least one of the {what}, here {instances}"
        raise TaskError(f"{setting} must be {allowed}, not {train_share}") from error
