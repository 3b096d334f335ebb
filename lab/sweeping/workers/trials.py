"""Trials as workers report them: updates during a trial, its outcome, and the values of its runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import optuna
from optuna.study import Study
from optuna.trial import TrialState

from lab.errors import LabError
from lab.runs import Run
from lab.runs.files import write_json
from lab.runs.layout import RECORD, is_run
from lab.runs.lock import LOCK, is_locked
from lab.runs.record import read_record
from lab.sweeping.spec.configurations import run_names
from lab.sweeping.spec.description import Sweep
from lab.sweeping.study.place import Job
from lab.sweeping.study.storage import storage_calls
from lab.sweeping.study.study import ERROR, SECONDS


@dataclass(frozen=True)
class Update:
    """A worker's report on its trial.

    Attributes:
        trial: Number of the trial; -1 while the worker waits for trials of others.
        run: Name of the run; empty before the first one.
        step: Completed optimiser steps of the run.
        share: Completed share of the trial.
        text: An evaluation, or the end of the trial, in words; else empty.
        ended: The final state of the trial; None before.
    """

    trial: int
    run: str = ""
    step: int = 0
    share: float = 0.0
    text: str = ""
    ended: TrialState | None = None


OnUpdate = Callable[[Update], None]


class Failed(LabError):
    """A run cannot be trained or has no valid result; the rest of the sweep continues."""


@dataclass(frozen=True)
class Outcome:
    """The end of a trial.

    Attributes:
        state: Its final state.
        text: Its values, or why it has none.
        values: The value of each metric of the sweep; None if it is not complete.
    """

    state: TrialState
    text: str
    values: list[float] | None = None


def finish(job: Job, study: Study, trial: optuna.Trial, outcome: Outcome) -> None:
    """Report a trial's outcome to the study; of one that is not complete, mark the run folders first."""
    names = run_names(job.sweep, trial.number, trial.params)
    paths = [job.place.runs / name for name in names if is_run(job.place.runs / name)]
    if outcome.state is not TrialState.COMPLETE:
        for path in paths:
            mark(path, "pruned" if outcome.state is TrialState.PRUNED else "failed", outcome.text)
    seconds = sum(float(record["wall_seconds"]) for path in paths if (record := _readable_record(path)) is not None)
    with storage_calls():
        trial.set_user_attr(SECONDS, seconds)
        if outcome.state is TrialState.FAIL:
            trial.set_user_attr(ERROR, outcome.text)
        study.tell(trial, outcome.values, state=outcome.state)


def describe_error(error: BaseException) -> str:
    """Return an error in one line."""
    lines = str(error).strip().splitlines()
    return f"{'' if isinstance(error, LabError) else type(error).__name__ + ': '}{lines[0] if lines else 'no reason given'}"


def mark(path: Path, state: str, text: str) -> None:
    """Record the state of a run that the sweep ends early, unless it is finished, has diverged or is being trained."""
    record = _readable_record(path)
    if record is not None and record["state"] not in ("finished", "diverged") and not is_locked(path / LOCK):
        write_json(path / RECORD, record | {"state": state, "error": text})


def _readable_record(path: Path) -> dict[str, Any] | None:
    """Return the record of a run; None if it is damaged, which the outcome says already."""
    with suppress(LabError):
        return read_record(path)
    return None


def trial_values(sweep: Sweep, runs: list[Run]) -> list[float]:
    """Return the value of each metric of the sweep: the mean over a trial's runs.

    Raises:
        Failed: If a run did not report it, or it is not finite.
    """
    values = []
    for metric in sweep.metrics:
        value = fmean(run_value(sweep, run, metric) for run in runs)
        if not math.isfinite(value):
            raise Failed(f"{metric} is {value}")
        values.append(value)
    return values


def values_text(sweep: Sweep, values: Sequence[float]) -> str:
    """Return a trial's values for people."""
    return "  ".join(f"{metric} {value:.4g}" for metric, value in zip(sweep.metrics, values, strict=True))


def run_value(sweep: Sweep, run: Run, metric: str) -> float:
    """Return a run's value of one of the sweep's metrics.

    Raises:
        Failed: If the run did not report it.
    """
    if metric == "parameters":
        return float(run.record["non_embedding_parameters"])
    if metric == "seconds":
        return float(run.record["wall_seconds"])
    values = [row.value for row in run.metrics() if row.metric == metric]
    if not values:
        raise Failed(f"{run.name} did not report {metric}")
    if sweep.rule == "last":
        return values[-1]
    return max(values) if sweep.metrics[metric] == "maximise" else min(values)
