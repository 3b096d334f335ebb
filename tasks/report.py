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
from numpy.typing import NDArray

from tasks.core.base import Task
from tasks.core.division import instances_by_split
from tasks.core.splits import SPLITS
from tasks.settings import require

ROWS_AT_ONCE = 256
MOST = 10_000_000
"""Rows of each split at most, which are held in memory."""
_TIMED_BATCHES = 5


@dataclass(frozen=True, kw_only=True)
class RoleFacts:
    """What is known of the targets of one role.

    Attributes:
        share: Of all positions that have a role.
        floor: Entropy in nats; None where it has no closed form.
        chance: Accuracy of the best guess without the context; None where it has no closed form.
        optimum: Mean loss in nats of the optimal predictor on the sequences drawn here, by split; None if it is not known.
    """

    share: float
    floor: float | None
    chance: float | None
    optimum: dict[str, float] | None


@dataclass(frozen=True, kw_only=True)
class StratumFacts:
    """What is known of a part of the stated distribution.

    Attributes:
        chance: Its share of the distribution, as stated.
        drawn: Its share of the sequences drawn here, by split.
        instances: Different instances that each split has, by split; None if nobody knows.
        instances_are: `exact`; `about`, where a hash divides them; `seen`, where nobody knows how many there are.
    """

    chance: float
    drawn: dict[str, float]
    instances: dict[str, int]
    instances_are: str


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What was found.

    Attributes:
        task: Name and settings, as `tasks.from_description` reads them.
        instances: How many different instances there are ...
        instances_are: ... `exact`, `at most`, `at least`; or `at least, seen`, if they are those that were met here.
        drawn: Rows of each split that were looked at.
        overlap: Instances found in both of two splits, as `train and test`. Zero by construction.
        met_again: Share of `drawn` further training rows whose instance is among the first: what a test set would share with
            its training set if the splits were not kept apart.
        shortest: Tokens of the shortest instance met, padding not counted.
        longest: And of the longest.
        strata: Facts by stratum.
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
    strata: dict[str, StratumFacts]
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
    require(1 <= drawn <= MOST, "drawn", drawn, f"between 1 and {MOST}")
    looks = {split: _Look(task, seed, split, 2 * drawn if split == "train" else drawn) for split in SPLITS}
    first, again = (set(looks["train"].instances[:drawn]), looks["train"].instances[drawn:])
    sets = {split: set(look.instances) for split, look in looks.items()}
    counted = task.instance_count()
    instances, kind = counted or (len(set().union(*sets.values())), "at least, seen")
    counts = np.sum([look.counts for look in looks.values()], axis=0)
    return Certificate(
        task=task.description,
        instances=instances,
        instances_are=kind,
        drawn=drawn,
        overlap={f"{one} and {other}": len(sets[one] & sets[other]) for one, other in combinations(SPLITS, 2)},
        met_again=sum(instance in first for instance in again) / drawn,
        shortest=min(look.shortest for look in looks.values()),
        longest=max(look.longest for look in looks.values()),
        strata={stratum.name: _stratum_facts(task, number, looks) for number, stratum in enumerate(task.strata())},
        roles={
            role: RoleFacts(
                share=float(counts[number] / counts[1:].sum()),
                floor=task.floor(role),
                chance=task.chance(role),
                optimum=_optimum(looks, number),
            )
            for number, role in enumerate(task.roles[1:], start=1)
        },
        facts=task.facts(),
        tokens_per_second=_throughput(task, seed),
    )


class _Look:
    """What is seen in some sequences of a split.

    Attributes:
        instances: The instance of each sequence.
        strata: (B,) its stratum.
        counts: (roles,) positions of each role.
        nats: (roles,) summed losses of the optimal predictor on the targets of each role ...
        targets: (roles,) ... and how many these are: position 0 is no target; 0 where the losses are not known.
        shortest: Tokens of the shortest sequence, padding not counted.
        longest: And of the longest.
    """

    def __init__(self, task: Task, seed: int, split: str, rows: int) -> None:
        self.instances: list[bytes] = []
        roles = len(task.roles)
        self.counts, self.targets = np.zeros(roles, dtype=np.int64), np.zeros(roles, dtype=np.int64)
        self.nats: NDArray[np.float64] = np.zeros(roles)
        strata, lengths = [], []
        for index in range(-(-rows // ROWS_AT_ONCE)):
            batch = task.batch(seed, index, min(ROWS_AT_ONCE, rows - index * ROWS_AT_ONCE), split)
            self.instances += [row.tobytes() for row in np.ascontiguousarray(task.instances(batch.tokens), dtype=np.int64)]
            self.counts += np.bincount(batch.roles.ravel(), minlength=roles)
            optimum = task.optimum(batch.tokens)
            if optimum is not None:
                role_N = batch.roles[:, 1:].ravel()
                self.targets += np.bincount(role_N, minlength=roles)
                self.nats += np.bincount(role_N, weights=optimum[:, 1:].ravel(), minlength=roles)
            strata.append(task.stratum(batch.tokens))
            lengths.append((batch.roles != 0).sum(axis=1))
        self.strata: NDArray[np.int64] = np.concatenate(strata)
        self.shortest, self.longest = int(np.concatenate(lengths).min()), int(np.concatenate(lengths).max())


def _optimum(looks: dict[str, _Look], role: int) -> dict[str, float] | None:
    known = {split: look for split, look in looks.items() if look.targets[role]}
    return {split: float(look.nats[role] / look.targets[role]) for split, look in known.items()} or None


def _stratum_facts(task: Task, number: int, looks: dict[str, _Look]) -> StratumFacts:
    stratum = task.strata()[number]
    drawn = {split: float((look.strata == number).mean()) for split, look in looks.items()}
    here = {split: np.flatnonzero(look.strata == number).tolist() for split, look in looks.items()}
    seen = [len({looks[split].instances[row] for row in rows}) for split, rows in here.items()]
    instances, kind = instances_by_split(task, stratum) or (seen, "seen")
    return StratumFacts(
        chance=stratum.chance, drawn=drawn, instances=dict(zip(SPLITS, instances, strict=True)), instances_are=kind
    )


def _throughput(task: Task, seed: int) -> float:
    """Tokens of a training batch over the median of a few timings, in 1/s."""
    seconds = []
    for index in range(_TIMED_BATCHES):
        begin = time.perf_counter()
        task.batch(seed, index, ROWS_AT_ONCE, "train")
        seconds.append(time.perf_counter() - begin)
    return ROWS_AT_ONCE * task.length / float(np.median(seconds))
