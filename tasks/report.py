"""Report on a task's data at given settings: instances, splits, floors and speed, counted or measured.

An example shows why: the public data of star graphs with two arms of three nodes out of ten has 30,240 different instances and
200,000 training lines, which contain 99.9 % of its test graphs. A model that memorises these lines passes the test.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.core.base import Task
from tasks.core.division import count_instances, instances_by_split
from tasks.core.splits import SPLITS
from tasks.core.strata import Stratum
from tasks.settings import whole_number

BATCH_SIZE = 256
"""Sequences of a batch."""
MOST = 10_000_000
"""Most sequences of a split, whose instances are held in memory."""
_TIMED_BATCHES = 5


@dataclass(frozen=True, kw_only=True)
class RoleFacts:
    """Facts about the targets of a role.

    Attributes:
        share: Share of all positions that have a role, in [0, 1].
        floor: Entropy in nats; None where it has no closed form.
        chance: Accuracy of the best context-independent guess; None where it has no closed form.
        optimum: Mean loss in nats of the optimal predictor on the drawn sequences, by split; None if it is unknown.
    """

    share: float
    floor: float | None
    chance: float | None
    optimum: dict[str, float] | None


@dataclass(frozen=True, kw_only=True)
class StratumFacts:
    """Facts about a stratum of the stated distribution.

    Attributes:
        chance: Its stated share of the distribution.
        drawn: Its share of the drawn sequences, by split.
        instances: Number of different instances, by split.
        instances_are: `exact`; `about` where a hash divides them; `seen` where these are only the drawn ones.
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
        instances_are: Whether this number is `exact`, `at most`, `at least`, or `at least, seen`, the number of drawn ones.
        drawn: Number of sequences drawn from each split.
        overlap: Number of drawn instances that two splits share, as `train and test`; 0 by construction.
        met_again: Share of `drawn` further training sequences whose instance is among the first `drawn`: the overlap that a
            test set would have with its training set if the splits were not disjoint.
        shortest: Tokens of the shortest drawn instance, without padding.
        longest: Tokens of the longest drawn instance.
        strata: Facts by stratum.
        roles: Facts by role.
        facts: Counts that the task adds, such as the stories of a corpus that are left out.
        tokens_per_second: Throughput of training batches on this machine, in one thread.
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
        task: The task with its settings.
        drawn: Number of sequences to draw from each split, 1 or more; the training split gives twice as many.
        seed: Seed of the streams.

    Raises:
        TaskError: If `drawn` is out of range, or the settings have too few instances.
    """
    drawn = whole_number("drawn", drawn, most=MOST)
    samples = {split: _Sample(task, seed, split, 2 * drawn if split == "train" else drawn) for split in SPLITS}
    first, further = set(samples["train"].instances[:drawn]), samples["train"].instances[drawn:]
    sets = {split: set(sample.instances) for split, sample in samples.items()}
    counted = count_instances(task)
    instances, kind = counted or (len(set().union(*sets.values())), "at least, seen")
    counts = np.sum([sample.counts for sample in samples.values()], axis=0)
    return DataReport(
        task=task.description,
        instances=instances,
        instances_are=kind,
        drawn=drawn,
        overlap={f"{one} and {other}": len(sets[one] & sets[other]) for one, other in combinations(SPLITS, 2)},
        met_again=sum(instance in first for instance in further) / drawn,
        shortest=min(sample.shortest for sample in samples.values()),
        longest=max(sample.longest for sample in samples.values()),
        strata={stratum.name: _stratum_facts(task, stratum, number, samples) for number, stratum in enumerate(task.strata())},
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
    """Statistics of B sequences of a split.

    Attributes:
        instances: The bytes of each sequence's instance.
        strata: (B,) int64, the stratum of each sequence.
        counts: (roles,) int64, the number of positions of each role.
        nats: (roles,) float64, the sum of the optimal predictor's losses on the targets of each role.
        targets: (roles,) int64, the number of these targets, without position 0; 0 where the losses are unknown.
        shortest: Tokens of the shortest sequence, without padding.
        longest: Tokens of the longest sequence.
    """

    def __init__(self, task: Task, seed: int, split: str, sequences: int) -> None:
        self.instances: list[bytes] = []
        roles = len(task.roles)
        self.counts, self.targets = np.zeros(roles, dtype=np.int64), np.zeros(roles, dtype=np.int64)
        self.nats: NDArray[np.float64] = np.zeros(roles)
        strata, lengths = [], []
        for index, begin in enumerate(range(0, sequences, BATCH_SIZE)):
            batch = task.batch(seed, index, min(BATCH_SIZE, sequences - begin), split)
            self.instances += [each.tobytes() for each in np.ascontiguousarray(task.instances(batch.tokens), dtype=np.int64)]
            self.counts += np.bincount(batch.roles.ravel(), minlength=roles)
            optimum = task.optimum(batch.tokens)
            if optimum is not None:
                role_R = batch.roles[:, 1:].ravel()
                self.targets += np.bincount(role_R, minlength=roles)
                self.nats += np.bincount(role_R, weights=optimum[:, 1:].ravel(), minlength=roles)
            strata.append(task.stratum(batch.tokens))
            lengths.append((batch.roles != 0).sum(axis=1))
        self.strata: NDArray[np.int64] = np.concatenate(strata)
        self.shortest, self.longest = int(np.concatenate(lengths).min()), int(np.concatenate(lengths).max())


def _mean_optimum(samples: dict[str, _Sample], role: int) -> dict[str, float] | None:
    """Return the optimal predictor's mean loss on a role, by split."""
    known = {split: sample for split, sample in samples.items() if sample.targets[role]}
    return {split: float(sample.nats[role] / sample.targets[role]) for split, sample in known.items()} or None


def _stratum_facts(task: Task, stratum: Stratum, number: int, samples: dict[str, _Sample]) -> StratumFacts:
    """Return the facts about a stratum, which has this number among the task's strata."""
    inside = {split: np.flatnonzero(sample.strata == number).tolist() for split, sample in samples.items()}
    seen = [len({samples[split].instances[sequence] for sequence in found}) for split, found in inside.items()]
    instances, kind = instances_by_split(task, stratum) or (seen, "seen")
    return StratumFacts(
        chance=stratum.chance,
        drawn={split: len(inside[split]) / len(sample.strata) for split, sample in samples.items()},
        instances=dict(zip(SPLITS, instances, strict=True)),
        instances_are=kind,
    )


def _throughput(task: Task, seed: int) -> float:
    """Measure the tokens per second of training batches by the median of a few timings."""
    seconds = []
    for index in range(_TIMED_BATCHES):
        begin = time.perf_counter()
        task.batch(seed, index, BATCH_SIZE, "train")
        seconds.append(time.perf_counter() - begin)
    return BATCH_SIZE * task.length / float(np.median(seconds))
