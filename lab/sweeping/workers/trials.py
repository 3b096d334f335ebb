"""A trial's news while it is worked on, and its end: what it reached, or why it did not."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import optuna
from optuna.study import Study
from optuna.trial import TrialState

from lab.errors import LabError
from lab.runs import Run
from lab.runs.files import read_json, write_json
from lab.runs.lock import LOCK, is_locked
from lab.runs.run import RECORD, is_run
from lab.sweeping.spec.description import Direction, Sweep
from lab.sweeping.study.storage import storage_calls
from lab.sweeping.study.study import ERROR, SECONDS, Job


@dataclass(frozen=True)
class Update:
    """What a worker tells of its work.

    Attributes:
        trial: Number of the trial; -1 if the worker waits for trials of others.
        run: Name of the run; empty when the trial is over.
        step: Optimiser steps done in it.
        share: How much of the trial is done.
        text: An evaluation in words, or how the trial ended; else empty.
        ended: How the trial ended, else None.
    """

    trial: int
    run: str = ""
    step: int = 0
    share: float = 0.0
    text: str = ""
    ended: TrialState | None = None


Tell = Callable[[Update], None]


class Failed(LabError):
    """A run that cannot become what it should; the rest of the sweep goes on."""


def finish(
    job: Job, study: Study, trial: optuna.Trial, state: TrialState, text: str, values: list[float] | None, names: list[str]
) -> None:
    """Mark the folders of a trial that did not come to its end, and tell the study."""
    paths = [job.place.runs / name for name in names if is_run(job.place.runs / name)]
    if state is not TrialState.COMPLETE:
        for path in paths:
            mark(path, "pruned" if state is TrialState.PRUNED else "failed", text)
    seconds = sum(float(read_json(path / RECORD)["wall_seconds"]) for path in paths)
    with storage_calls():
        trial.set_user_attr(SECONDS, seconds)
        if state is TrialState.FAIL:
            trial.set_user_attr(ERROR, text)
        study.tell(trial, values, state=state)


def reason(error: BaseException) -> str:
    """An error in one line."""
    lines = str(error).strip().splitlines()
    return f"{'' if isinstance(error, LabError) else type(error).__name__ + ': '}{lines[0] if lines else 'no reason given'}"


def mark(path: Path, state: str, text: str) -> None:
    """Record in a run's folder that a sweep has ended it early, and why, unless it is finished, diverged or trained now."""
    record = read_json(path / RECORD)
    if record["state"] not in ("finished", "diverged") and not is_locked(path / LOCK):
        write_json(path / RECORD, record | {"state": state, "error": text})


def trial_values(job: Job, runs: list[Run]) -> list[float]:
    """What a trial reached in each metric: the mean over its runs.

    Raises:
        Failed: If a run did not report it, or it is no finite number.
    """
    values = []
    for metric, direction in job.sweep.metrics.items():
        value = fmean(run_value(run, metric, job.sweep.rule, best_of(direction)) for run in runs)
        if not math.isfinite(value):
            raise Failed(f"{metric} is {value}")
        values.append(value)
    return values


def values_text(sweep: Sweep, values: Sequence[float]) -> str:
    """What a trial reached, in words."""
    return "  ".join(f"{metric} {value:.4g}" for metric, value in zip(sweep.metrics, values, strict=True))


def best_of(direction: Direction) -> Callable[[list[float]], float]:
    """Which of several values is the best one."""
    return max if direction == "maximise" else min


def run_value(run: Run, metric: str, rule: str, best: Callable[[list[float]], float]) -> float:
    """What a run reached in a metric, or cost.

    Raises:
        Failed: If it did not report it.
    """
    if metric == "parameters":
        return float(run.record["non_embedding_parameters"])
    if metric == "seconds":
        return float(run.record["wall_seconds"])
    values = [row.value for row in run.metrics() if row.metric == metric]
    if not values:
        raise Failed(f"{run.name} did not report {metric}")
    return values[-1] if rule == "last" else best(values)
