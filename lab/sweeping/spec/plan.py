"""The cost of a sweep, estimated by training a few steps."""

from __future__ import annotations

import csv
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lab.config import Experiment, override
from lab.config.matching import timed_settings
from lab.runs.layout import TIMING
from lab.runs.status import duration
from lab.sweeping.spec.check import Checked
from lab.sweeping.spec.configurations import planned_trials

_STEPS = 8
_MOST_MEASURED = 3
_LARGEST_ON_CPU = 2e12
"""FLOPs of the largest step that is measured on a CPU: some tens of seconds."""
_GPU_FLOPS, _UTILISATION = 989e12, 0.4
"""Dense bfloat16 peak of an H100 (its data sheet), and the share of it that training commonly reaches."""


class Pace(NamedTuple):
    """Seconds of an experiment's start, of a step and of an evaluation."""

    start: float
    step: float
    evaluation: float


@dataclass(frozen=True)
class Plan:
    """The size and the estimated cost of a sweep.

    Attributes:
        runs: Number of runs (of a search at most); None if the sweep is limited by time alone.
        configurations: Number of configurations, likewise.
        seeds: Seeds of each configuration.
        seconds: Estimated training time, summed over runs; None if their number is unknown or a step is too large to measure.
        flops: Training FLOPs of all runs: exact for a grid, for a search as if its configurations were spread evenly.
        impossible: Why configurations cannot be trained, of those that were tried.
        stops: Whether runs may end before their last step (`evaluation.stop`): time and FLOPs are then upper bounds.
        compiles: Whether runs compile their steps; the measured steps are not compiled, so that a plan takes seconds.
    """

    runs: int | None
    configurations: int | None
    seeds: int
    seconds: float | None
    flops: float | None
    impossible: list[str]
    stops: bool = False
    compiles: bool = False

    def text(self, workers: int) -> str:
        """Return a few lines for people."""
        plural = "s" if self.seeds > 1 else ""
        if self.runs is None:
            lines = [f"as many configurations as the time allows, {self.seeds} run{plural} each"]
        else:
            seeds = f"{self.seeds} seed{plural}"
            lines = [
                f"{self.runs} runs: {self.configurations} configurations x {seeds}",
                self._time(workers, self.runs),
                f"{self.at_most}{self.flops:.2g} training FLOPs",
            ]
        if self.impossible:
            gaps = f"{len(self.impossible)} configuration{'s' if len(self.impossible) > 1 else ''}"
            lines.append(f"{gaps} cannot be trained and will be recorded as failed: {self.impossible[0]}")
        return "\n".join(lines)

    @property
    def at_most(self) -> str:
        """Words before the time and FLOPs where these are upper bounds."""
        return "at most " if self.stops else ""

    def _time(self, workers: int, runs: int) -> str:
        if self.seconds is not None:
            wall = duration(self.seconds / min(workers, runs))
            measured = f"{_STEPS} steps" + (" that are not compiled" if self.compiles else "")
            return (
                f"{self.at_most}about {wall} with {workers} worker{'s' if workers > 1 else ''}"
                f" ({duration(self.seconds)} of training, estimated from {measured})"
            )
        hours = (self.flops or 0) / (_GPU_FLOPS * _UTILISATION) / 3600
        return (
            f"{self.at_most}about {hours:,.0f} GPU-hours at {_UTILISATION:.0%} of an H100's {_GPU_FLOPS / 1e12:.0f} TFLOP/s in"
            " bfloat16 (an assumption: a step of this size is not measured here)"
        )


def plan(checked: Checked, *, on_gpu: bool) -> Plan:
    """Count a sweep's runs and estimate their time by training the cheapest, a middle and the dearest for a few steps.

    Args:
        checked: The sweep.
        on_gpu: Whether its runs use a GPU of this machine.
    """
    sweep, experiments = checked.sweep, checked.experiments
    trials, seeds = planned_trials(sweep), len(sweep.seeds)
    runs = None if trials is None else trials if sweep.grid is not None else trials * seeds
    gaps = len(checked.impossible) if sweep.grid is not None else 0
    trained = None if runs is None else runs - seeds * gaps
    largest = max(each.flops_per_step for each in experiments)
    seconds = statistics.fmean(_seconds(experiments)) if on_gpu or largest <= _LARGEST_ON_CPU else None
    flops = statistics.fmean(each.flops_per_step * each.steps for each in experiments)
    return Plan(
        runs=runs,
        configurations=None if runs is None else runs // seeds,
        seeds=seeds,
        seconds=None if trained is None or seconds is None else trained * seconds,
        flops=None if trained is None else trained * flops,
        impossible=[why for _, why in checked.impossible],
        stops=any(each.evaluation.stop.metric is not None for each in experiments),
        compiles=any(each.compile != "none" for each in experiments),
    )


def _seconds(experiments: list[Experiment]) -> list[float]:
    """Estimate the training time of each experiment, by interpolation between measured ones."""
    from lab.evaluation.points import points_of

    by_flops = sorted({experiment.flops_per_step: experiment for experiment in experiments}.items(), key=lambda item: item[0])
    chosen = np.unique(np.linspace(0, len(by_flops) - 1, _MOST_MEASURED).round().astype(int))
    flops = [by_flops[index][0] for index in chosen]
    starts, steps, evaluations = zip(*(measure_pace(by_flops[index][1]) for index in chosen), strict=True)
    return [
        float(
            np.interp(experiment.flops_per_step, flops, starts)
            + np.interp(experiment.flops_per_step, flops, steps) * experiment.steps
            + np.interp(experiment.flops_per_step, flops, evaluations) * len(points_of(experiment))
        )
        for experiment in experiments
    ]


def measure_pace(experiment: Experiment) -> Pace:
    """Measure an experiment's pace by training it for a few steps in a temporary folder, without compiling them."""
    from lab.training import train

    short = timed_settings(experiment, _STEPS) | {
        "compile": "none",
        "checkpoint.seconds": 1e9,
        "evaluation.every": _STEPS // 2,
        "evaluation.per_decade": None,
    }
    with tempfile.TemporaryDirectory() as folder:
        run = train(override(experiment, short), Path(folder) / "run")
        with (run.path / TIMING).open(encoding="utf-8") as file:
            first, before, last = [(float(row["seconds"]), float(row["tokens_per_second"])) for row in csv.DictReader(file)]
        tokens = {row.step: row.tokens for row in run.metrics()}
    step = (tokens[_STEPS] - tokens[_STEPS // 2]) / max(last[1], 1.0) / (_STEPS - _STEPS // 2)
    return Pace(first[0], step, max(0.0, last[0] - before[0] - step * (_STEPS // 2)))
