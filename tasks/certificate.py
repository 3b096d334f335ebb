"""What can be said of a task's data at given settings, so that nobody need trust it: counted, measured, and by construction.

Why one wants to know: the public star-graph data with two arms of three nodes out of ten has 30,240 different instances, and
200,000 lines to train on, which hold 99.9 % of its test graphs. A model that has learned them by heart passes that test.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from tasks.base import Task
from tasks.settings import require
from tasks.streams import SPLITS

ROWS_AT_ONCE = 256
_TIMED_BATCHES = 5


@dataclass(frozen=True, kw_only=True)
class RoleFacts:
    """What is known of the targets of one role.

    Attributes:
        share: Of all positions that have a role.
        floor: Entropy in nats; None where it has no closed form.
        chance: Accuracy of the best guess without the context; None where it has no closed form.
    """

    share: float
    floor: float | None
    chance: float | None


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What was found.

    Attributes:
        task: Name and settings, as `tasks.describe` reads them.
        instances: How many different instances there are ...
        instances_are: ... `exact`, `at most`, `at least`; or `at least, seen`, if they are those that were met here.
        drawn: Rows of each split that were looked at.
        overlap: Instances found in both of two splits, as `train and test`. Zero by construction.
        met_again: Share of `drawn` further training rows whose instance is among the first: what a test set would share with
            its training set if the splits were not kept apart.
        shortest: Tokens of the shortest instance met, padding not counted.
        longest: And of the longest.
        roles: Facts by role.
        facts: What the task adds, as how many stories of a corpus were left out.
        tokens_per_second: Of the training split's batches, on this machine, one thread.
    """

    task: dict[str, Any]
    instances: int
    instances_are: str
    drawn: int
    overlap: dict[str, int]
    met_again: float
    shortest: int
    longest: int
    roles: dict[str, RoleFacts]
    facts: dict[str, int]
    tokens_per_second: float


def certify(task: Task, drawn: int = 4000, seed: int = 0) -> Certificate:
    """Look at a task's data.

    Args:
        task: At the settings in question.
        drawn: Rows of each split, 1 or more; twice as many of the training split.
        seed: Of the streams.

    Raises:
        TaskError: If nothing is to be drawn, or the settings have too few instances.
    """
    require(drawn >= 1, "drawn", drawn, "at least 1")
    seen: dict[str, list[bytes]] = {}
    counts = np.zeros(len(task.roles), dtype=np.int64)
    lengths = []
    for split in SPLITS:
        rows = 2 * drawn if split == "train" else drawn
        seen[split] = []
        for index in range(-(-rows // ROWS_AT_ONCE)):
            batch = task.batch(seed, index, min(ROWS_AT_ONCE, rows - index * ROWS_AT_ONCE), split)
            seen[split] += [row.tobytes() for row in np.ascontiguousarray(task.instances(batch.tokens), dtype=np.int64)]
            counts += np.bincount(batch.roles.ravel(), minlength=len(counts))
            lengths.append((batch.roles != 0).sum(axis=1))
    first = set(seen["train"][:drawn])
    sets = {split: set(instances) for split, instances in seen.items()}
    counted = task.instance_count()
    instances, kind = counted or (len(set().union(*sets.values())), "at least, seen")
    shares = counts[1:] / counts[1:].sum()
    return Certificate(
        task=task.description,
        instances=instances,
        instances_are=kind,
        drawn=drawn,
        overlap={f"{one} and {other}": len(sets[one] & sets[other]) for one, other in combinations(SPLITS, 2)},
        met_again=sum(instance in first for instance in seen["train"][drawn:]) / drawn,
        shortest=int(np.concatenate(lengths).min()),
        longest=int(np.concatenate(lengths).max()),
        roles={
            role: RoleFacts(share=float(share), floor=task.floor(role), chance=task.chance(role))
            for role, share in zip(task.roles[1:], shares, strict=True)
        },
        facts=task.facts(),
        tokens_per_second=_throughput(task, seed),
    )


def _throughput(task: Task, seed: int) -> float:
    """Tokens of a training batch over the median of a few timings, in 1/s."""
    seconds = []
    for index in range(_TIMED_BATCHES):
        begin = time.perf_counter()
        task.batch(seed, index, ROWS_AT_ONCE, "train")
        seconds.append(time.perf_counter() - begin)
    return ROWS_AT_ONCE * task.length / float(np.median(seconds))
