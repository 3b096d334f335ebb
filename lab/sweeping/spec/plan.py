"""What a sweep would cost, from trainings of a few steps."""

from __future__ import annotations

import csv
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lab.config import Experiment, override
from lab.config.matching import unbudgeted
from lab.runs.run import TIMING
from lab.sweeping.engine import Prepared
from lab.sweeping.spec.configurations import planned_trials
from lab.sweeping.workers.follow import duration

_STEPS = 8
_MEASURED_AT_MOST = 3
_TRIED_ON_CPU = 2e12
"""FLOPs of a step that a CPU can try in some tens of seconds."""
_GPU_FLOPS, _UTILISATION = 989e12, 0.4
"""Dense bfloat16 peak of an H100 (its data sheet), and the share of it that training commonly reaches."""


class Pace(NamedTuple):
    """How fast an experiment goes, seconds."""

    start: float
    step: float
    evaluation: float


@dataclass(frozen=True)
class Plan:
    """What a sweep would cost.

    Attributes:
        runs: Runs in all, of a search at most; None if only time ends it.
        cells: Cells in all, likewise.
        seeds: Seeds of each cell.
        seconds: Training time of all runs together, estimated; None if their number is not known or a trial asks too much.
        flops: Training FLOPs of all runs together: exact for a grid, of a search as if its cells were spread evenly.
        impossible: Why cells cannot be trained, of those that were tried.
    """

    runs: int | None
    cells: int | None
    seeds: int
    seconds: float | None
    flops: float | None
    impossible: list[str]

    def text(self, workers: int) -> str:
        """A few lines for people."""
        if self.runs is None:
            lines = [f"as many cells as the time allows, {self.seeds} runs each"]
        else:
            lines = [
                f"{self.runs} runs: {self.cells} cells x {self.seeds} seed{'s' if self.seeds > 1 else ''}",
                self._time(workers, self.runs),
                f"{self.flops:.2g} training FLOPs",
            ]
        if self.impossible:
            lines.append(f"{len(self.impossible)} cells cannot be trained and will be recorded as failed: {self.impossible[0]}")
        return "\n".join(lines)

    def _time(self, workers: int, runs: int) -> str:
        if self.seconds is not None:
            return (
                f"about {duration(self.seconds / min(workers, runs))} with {workers} worker{'s' if workers > 1 else ''}"
                f" ({duration(self.seconds)} of training, estimated from {_STEPS} steps)"
            )
        return (
            f"about {(self.flops or 0) / (_GPU_FLOPS * _UTILISATION) / 3600:,.0f} GPU-hours at {_UTILISATION:.0%} of an H100's"
            f" {_GPU_FLOPS / 1e12:.0f} TFLOP/s in bfloat16: assumed, a step of this size is not tried here"
        )


def plan(prepared: Prepared) -> Plan:
    """Count a sweep's runs and estimate their time: the cheapest, the dearest and a middle one are tried for a few steps."""
    sweep, experiments = prepared.job.sweep, [experiment for _, experiment in prepared.checked.possible]
    trials, seeds = planned_trials(sweep), len(sweep.seeds)
    runs = None if trials is None else trials if sweep.grid is not None else trials * seeds
    cells = None if runs is None else runs // seeds
    gaps = len(prepared.checked.impossible) if sweep.grid is not None else 0
    trained = None if runs is None else runs - seeds * gaps
    largest = max(each.flops_per_step for each in experiments)
    seconds = statistics.fmean(_seconds(experiments)) if prepared.devices or largest <= _TRIED_ON_CPU else None
    flops = statistics.fmean(each.flops_per_step * each.steps for each in experiments)
    return Plan(
        runs=runs,
        cells=cells,
        seeds=seeds,
        seconds=None if trained is None or seconds is None else trained * seconds,
        flops=None if trained is None else trained * flops,
        impossible=[why for _, why in prepared.checked.impossible],
    )


def _seconds(experiments: list[Experiment]) -> list[float]:
    """Estimated training time of each experiment."""
    tried = sorted({experiment.flops_per_step: experiment for experiment in experiments}.items(), key=lambda item: item[0])
    places = np.unique(np.linspace(0, len(tried) - 1, _MEASURED_AT_MOST).round().astype(int))
    works = [tried[place][0] for place in places]
    paces = [pace(tried[place][1]) for place in places]
    return [
        float(
            np.interp(experiment.flops_per_step, works, [pace.start for pace in paces])
            + np.interp(experiment.flops_per_step, works, [pace.step for pace in paces]) * experiment.steps
            + np.interp(experiment.flops_per_step, works, [pace.evaluation for pace in paces]) * evaluations(experiment)
        )
        for experiment in experiments
    ]


def evaluations(experiment: Experiment) -> int:
    """How often an experiment is measured."""
    from lab.evaluation.points import points_of

    return len(points_of(experiment))


def pace(experiment: Experiment) -> Pace:
    """How fast an experiment goes, by training it for a few steps in a folder that is thrown away."""
    from lab.training import train

    short: dict[str, Any] = {
        "steps": _STEPS,
        "schedule.warmup_steps": 0,
        "checkpoint.seconds": 1e9,
        "evaluation.per_decade": None,
    }
    short |= {"objective.active": "all", **unbudgeted(experiment)}
    with tempfile.TemporaryDirectory() as folder:
        run = train(override(experiment, {**short, "evaluation.every": _STEPS // 2}), Path(folder) / "run")
        with (run.path / TIMING).open(encoding="utf-8") as file:
            first, before, last = [(float(row["seconds"]), float(row["tokens_per_second"])) for row in csv.DictReader(file)]
        tokens = {row.step: row.tokens for row in run.metrics()}
    step = (tokens[_STEPS] - tokens[_STEPS // 2]) / max(last[1], 1.0) / (_STEPS - _STEPS // 2)
    return Pace(first[0], step, max(0.0, last[0] - before[0] - step * (_STEPS // 2)))
