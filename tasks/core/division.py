"""Divide a task's instances between the splits, and draw batches of one split. Shapes: B sequences."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tasks.core import strata
from tasks.core.batch import Batch
from tasks.core.bounds import Bound
from tasks.core.contract import Contract
from tasks.core.splits import SPLITS, Array, draw_in_split, split_of_space
from tasks.core.strata import Ranks, Stratum
from tasks.errors import TaskError

_FIELDS = ("tokens", "roles", "scored", "answer")


def check_instances(task: Contract) -> None:
    """Reject settings in which a stratum has fewer instances than there are splits.

    Raises:
        TaskError: Naming the stratum.
    """
    blocks = [(stratum.name, size) for stratum in task.strata() for size, _ in stratum.blocks]
    every = None if blocks or task.splits_itself else task.every_instance()
    if every is not None:
        blocks = [("all", len(every))]
    for name, size in blocks:
        if size < len(SPLITS):
            few = f"{size} equally likely instances, fewer than one for each of the {len(SPLITS)} splits"
            raise TaskError(f"{task.name}: these settings have too few instances: the stratum {name!r} has {few}")


def batch_of_split(task: Contract, rng: np.random.Generator, size: int, split: str) -> Batch:
    """Draw sequences of a split, each stratum with the share that the task states.

    Raises:
        TaskError: If the split has too few instances.
    """
    wanted = SPLITS.index(split)
    share = _shares(task)[wanted]

    def draw(count: int) -> tuple[Array, ...]:
        drawn = task.draw(rng, count, split)
        return tuple(getattr(drawn, name) for name in _FIELDS)

    def kept(drawn: tuple[Array, ...]) -> NDArray[np.bool_]:
        ranks = task.rank(drawn[0])
        inside_B: NDArray[np.bool_] = _split_of(task, drawn[0], ranks) == wanted
        if ranks is not None:
            inside_B &= rng.random(len(inside_B)) < strata.keep_probability(ranks.size_B, wanted, share)
        return inside_B

    return Batch(**dict(zip(_FIELDS, draw_in_split(draw, kept, size, split, share), strict=True)))


def split_of(task: Contract, tokens: NDArray[np.int64]) -> NDArray[np.int8]:
    """Return the split of each sequence's instance, (B,) int8, an index into `SPLITS`.

    Args:
        task: A task that does not divide its instances itself.
        tokens: (B, T) ids.
    """
    return _split_of(task, tokens, task.rank(tokens))


def count_instances(task: Contract) -> Bound | None:
    """Return the number of instances, 10^1000 for a larger one, since Python prints no huge numbers; None if it is unknown."""
    counted = task.instance_count()
    if counted is None or counted.value <= strata.LARGEST:
        return counted
    return None if counted.kind == "at most" else Bound(strata.LARGEST, "at least")


def instances_by_split(task: Contract, stratum: Stratum) -> tuple[tuple[int, ...], str] | None:
    """Count the different instances of a stratum in train, validation and test.

    Returns:
        The counts, and whether they are `exact`, or `about` where a hash divides some of them; None if they are unknown.
    """
    if stratum.split is not None:
        return stratum.split, "exact"
    every = task.every_instance()
    if every is not None:
        return tuple(np.bincount(split_of_space(task)(every), minlength=len(SPLITS)).tolist()), "exact"
    if stratum.blocks:
        parts = [[number * part for part in strata.split_sizes(size)] for size, number in stratum.blocks]
        exact = all(strata.ranked_size(size) for size, _ in stratum.blocks)
        return tuple(map(sum, zip(*parts, strict=True))), "exact" if exact else "about"
    counted = count_instances(task)
    if counted is None or counted.kind != "exact" or len(task.strata()) > 1:
        return None
    return strata.split_sizes(counted.value), "about"


def _split_of(task: Contract, tokens: NDArray[np.int64], ranks: Ranks | None) -> NDArray[np.int8]:
    """Return the split of each sequence, as `split_of`, given the ranks of the instances."""
    by_hash_B = split_of_space(task)(task.instances(tokens))
    return by_hash_B if ranks is None else strata.split_of_blocks(ranks, by_hash_B)


@lru_cache(maxsize=64)
def _shares(task: Contract) -> tuple[float, float, float]:
    """Return the share of drawn sequences that each split keeps."""
    return strata.kept_shares(tuple(size for stratum in task.strata() for size, _ in stratum.blocks))
