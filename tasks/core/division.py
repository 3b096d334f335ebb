"""How a task's instances are divided between the splits, and how a batch of one split is drawn. Shapes: B sequences."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tasks.core import strata
from tasks.core.batch import Batch
from tasks.core.contract import Contract
from tasks.core.splits import SPLITS, Array, rows_in_split, split_of_space
from tasks.core.strata import Numbered, Stratum
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
            each = f"{size} equally likely instances, fewer than one for each of the {len(SPLITS)} splits"
            raise TaskError(f"{task.name}: these settings have too few instances: the stratum {name!r} has {each}")


def batch_of_split(task: Contract, rng: np.random.Generator, size: int, split: str) -> Batch:
    """Draw sequences of a split: each stratum has the share that the task states.

    Raises:
        TaskError: If so few instances exist that the split holds none of those drawn.
    """
    wanted = SPLITS.index(split)
    share = _shares(task)[wanted]

    def draw(count: int) -> tuple[Array, ...]:
        drawn = task.draw(rng, count, split)
        return tuple(getattr(drawn, name) for name in _FIELDS)

    def kept(drawn: tuple[Array, ...]) -> NDArray[np.bool_]:
        numbered = task.numbered(drawn[0])
        inside_B: NDArray[np.bool_] = _split_of(task, drawn[0], numbered) == wanted
        if numbered is not None:
            inside_B &= rng.random(len(inside_B)) < strata.keep_chance(numbered.size_B, wanted, share)
        return inside_B

    return Batch(**dict(zip(_FIELDS, rows_in_split(draw, kept, size, split, share), strict=True)))


def split_of(task: Contract, tokens: NDArray[np.int64]) -> NDArray[np.int8]:
    """The split that each sequence's instance belongs to, (B,) int8, an index into `SPLITS`.

    Args:
        task: One that does not divide its instances itself.
        tokens: (B, T) ids.
    """
    return _split_of(task, tokens, task.numbered(tokens))


def instances_by_split(task: Contract, stratum: Stratum) -> tuple[tuple[int, ...], str] | None:
    """Different instances of a stratum in train, validation and test; None if they are not known.

    Returns:
        The counts, and what they are: `exact`, or `about` where a hash divides some of them.
    """
    every, counted = task.every_instance(), task.instance_count()
    if stratum.split is not None:
        return stratum.split, "exact"
    if every is not None:
        return tuple(np.bincount(split_of_space(task)(every), minlength=len(SPLITS)).tolist()), "exact"
    if stratum.blocks:
        parts = [[number * part for part in strata.sizes(size)] for size, number in stratum.blocks]
        exact = all(strata.few(size) for size, _ in stratum.blocks)
        return tuple(map(sum, zip(*parts, strict=True))), "exact" if exact else "about"
    if counted is None or counted[1] != "exact" or len(task.strata()) > 1:
        return None
    return strata.sizes(counted[0]), "about"


def _split_of(task: Contract, tokens: NDArray[np.int64], numbered: Numbered | None) -> NDArray[np.int8]:
    by_hash_B = split_of_space(task)(task.instances(tokens))
    return by_hash_B if numbered is None else strata.split_of_blocks(numbered, by_hash_B)


@lru_cache(maxsize=64)
def _shares(task: Contract) -> tuple[float, float, float]:
    return strata.shares(tuple(size for stratum in task.strata() for size, _ in stratum.blocks))
