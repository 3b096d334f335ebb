"""A report on a task's data at given settings: instances, splits, floors and speed, counted or measured.

Why it matters: the public star-graph data with two arms of three nodes out of ten has 30,240 different instances and 200,000
training lines, which contain 99.9 % of its test graphs. A model that memorises them passes that test.
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

BATCH_SIZE = 256
MOST = 10_000_000
"""Most sequences of each split, which are held in memory."""
_TIMED_BATCHES = 5


@dataclass(frozen=True, kw_only=True)
class RoleFacts:
    """The targets of one role.

    Attributes:
        share: Of all positions that have a role.
        floor: Entropy in nats; None where it has no closed form.
        chance: Accuracy of the best context-independent guess; None where it has no closed form.
        optimum: Mean loss in nats of the optimal predictor on the sequences drawn here, by split; None if it is not known.
    """

    share: float
    floor: float | None
    chance: float | None
    optimum: dict[str, float] | None


@dataclass(frozen=True, kw_only=True)
class StratumFacts:
    """A stratum of the stated distribution.

    Attributes:
        chance: Its share of the distribution, as stated.
        drawn: Its share of the sequences drawn here, by split.
        instances: Different instances by split.
        instances_are: `exact`; `about` where a hash divides them; `seen` where only those drawn here are counted.
    """

    chance: float
    drawn: dict[str, float]
    instances: dict[str, int]
    instances_are: str


@dataclass(frozen=True, kw_only=True)
class DataReport:
    """Facts about a task's data.

    Attributes:
        task: Name and settings, as `tasks.from_description` reads them.
        instances: Number of different instances.
        instances_are: Whether this number is `exact`, `at most`, `at least`, or `at least, seen`: the instances drawn here.
        drawn: Sequences drawn from each split.
        overlap: Instances found in both of two splits, as `train and test`. Zero by construction.
        met_again: Share of `drawn` further training sequences whose instance is among the first: the overlap of a test set with
            its training set if the splits were not disjoint.
        shortest: Tokens of the shortest instance drawn, without padding.
        longest: Tokens of the longest instance drawn.
        strata: Facts by stratum.
        roles: Facts by role.
        facts: Counts that the task adds, such as the stories of a corpus that are left out.
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


def inspect_data(task: Task, drawn: int = 4000, seed: int = 0) -> DataReport:
    """Measure a task's data.

    Args:
        task: At the settings in question.
        drawn: Sequences of each split, 1 or more; twice as many of the training split.
        seed: Of the streams.

    Raises:
        TaskError: If `drawn` is out of range, or the settings have too few instances.
    """
    require(1 <= drawn <= MOST, "drawn", drawn, f"between 1 and {MOST}")
    samples = {split: _Sample(task, seed, split, 2 * drawn if split == "train" else drawn) for split in SPLITS}
    first, again = (set(samples["train"].instances[:drawn]), samples["train"].instances[drawn:])
    sets = {split: set(sample.instances) for split, sample in samples.items()}
    counted = task.instance_count()
    instances, kind = counted or (len(set().union(*sets.values())), "at least, seen")
    counts = np.sum([sample.counts for sample in samples.values()], axis=0)
    return DataReport(
        task=task.description,
        instances=instances,
        instances_are=kind,
        drawn=drawn,
        overlap={f"{one} and {other}": len(sets[one] & sets[other]) for one, other in combinations(SPLITS, 2)},
        met_again=sum(instance in first for instance in again) / drawn,
        shortest=min(sample.shortest for sample in samples.values()),
        longest=max(sample.longest for sample in samples.values()),
        strata={stratum.name: _stratum_facts(task, number, samples) for number, stratum in enumerate(task.strata())},
        roles={
            role: RoleFacts(
                share=float(counts[number] / counts[1:].sum()),
                floor=task.floor(role),
                chance=task.chance(role),
                optimum=_mean_optimum(samples, number),
            )
            for number, role in enumerate(task.roles[1:], start=1)
        },
        facts=task.facts(),
        tokens_per_second=_throughput(task, seed),
    )


class _Sample:
    """Statistics of some sequences of a split.

    Attributes:
        instances: The instance of each sequence.
        strata: (B,) its stratum.
        counts: (roles,) positions of each role.
        nats: (roles,) summed losses of the optimal predictor on the targets of each role.
        targets: (roles,) the number of these targets (position 0 is no target); 0 where the losses are not known.
        shortest: Tokens of the shortest sequence, without padding.
        longest: Tokens of the longest sequence.
    """

    def __init__(self, task: Task, seed: int, split: str, rows: int) -> None:
        self.instances: list[bytes] = []
        roles = len(task.roles)
        self.counts, self.targets = np.zeros(roles, dtype=np.int64), np.zeros(roles, dtype=np.int64)
        self.nats: NDArray[np.float64] = np.zeros(roles)
        strata, lengths = [], []
        for index in range(-(-rows // BATCH_SIZE)):
            batch = task.batch(seed, index, min(BATCH_SIZE, rows - index * BATCH_SIZE), split)
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


def _mean_optimum(samples: dict[str, _Sample], role: int) -> dict[str, float] | None:
    known = {split: sample for split, sample in samples.items() if sample.targets[role]}
    return {split: float(sample.nats[role] / sample.targets[role]) for split, sample in known.items()} or None


def _stratum_facts(task: Task, number: int, samples: dict[str, _Sample]) -> StratumFacts:
    stratum = task.strata()[number]
    drawn = {split: float((sample.strata == number).mean()) for split, sample in samples.items()}
    here = {split: np.flatnonzero(sample.strata == number).tolist() for split, sample in samples.items()}
    seen = [len({samples[split].instances[row] for row in rows}) for split, rows in here.items()]
    instances, kind = instances_by_split(task, stratum) or (seen, "seen")
    return StratumFacts(
        chance=stratum.chance, drawn=drawn, instances=dict(zip(SPLITS, instances, strict=True)), instances_are=kind
    )


def _throughput(task: Task, seed: int) -> float:
    """Tokens per second of training batches, from the median of a few timings."""
    seconds = []
    for index in range(_TIMED_BATCHES):
        begin = time.perf_counter()
        task.batch(seed, index, BATCH_SIZE, "train")
        seconds.append(time.perf_counter() - begin)
    return BATCH_SIZE * task.length / float(np.median(seconds))
