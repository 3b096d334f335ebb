"""A worker: it claims a trial, trains or resumes its runs, reports the outcome, and repeats until nothing is left."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import optuna
from optuna.study import Study
from optuna.trial import TrialState

from lab.config import Experiment
from lab.errors import Interrupted
from lab.runs import Run
from lab.runs.layout import is_run
from lab.runs.lock import Busy
from lab.sweeping.spec.configurations import run_names, trial_experiments
from lab.sweeping.study.claims import claim
from lab.sweeping.study.journal import StorageLost
from lab.sweeping.study.place import Job, is_run_of
from lab.sweeping.study.storage import storage_calls
from lab.sweeping.study.study import open_study
from lab.sweeping.workers.trials import Failed, OnUpdate, Outcome, Update, describe_error, finish, trial_values, values_text
from lab.training.fit import resume, train
from lab.training.progress import Progress

_REPORT_SECONDS = 0.3
"""Least time between two reports of steps."""


def work(job: Job, on_update: OnUpdate) -> None:
    """Train trials until none is left.

    Raises:
        StorageLost: If the storage does not answer; the next start of the sweep resumes everything.
        Busy: If another program trains a run of the sweep.
        Interrupted: After Ctrl-C.
    """
    study = open_study(job)
    gc.freeze()  # so that a collection does not look at all that was imported, which takes half a second
    try:
        while claimed := claim(job, study, lambda: on_update(Update(-1))):
            on_update(Update(claimed.trial.number))
            try:
                complete(job, study, claimed.trial, on_update)
            finally:
                claimed.lease.release()
            gc.collect()
    finally:
        gc.unfreeze()


def complete(job: Job, study: Study, trial: optuna.Trial, on_update: OnUpdate) -> None:
    """Train what is left of a trial's runs and report the outcome to the study."""
    names = run_names(job.sweep, trial.number, trial.params)
    try:
        runs = []
        for index, experiment in enumerate(trial_experiments(job.sweep, trial.params)):
            runs.append(_train_run(job.place.runs / names[index], Watch(experiment, job, trial, index, on_update), job.loggers))
        values = trial_values(job.sweep, runs)
        outcome = Outcome(TrialState.COMPLETE, values_text(job.sweep, values), values)
    except (Busy, Interrupted, StorageLost, KeyboardInterrupt):
        raise
    except optuna.TrialPruned:
        outcome = Outcome(TrialState.PRUNED, "pruned")
    except Exception as error:  # of whatever kind: the rest of the sweep must go on
        outcome = Outcome(TrialState.FAIL, describe_error(error))
    finish(job, study, trial, outcome)
    on_update(Update(trial.number, names[0], text=outcome.text, ended=outcome.state))


def _train_run(path: Path, watch: Watch, loggers: Sequence[str]) -> Run:
    """Train one of a trial's runs, resume it, or return it as it is."""
    if not path.exists():
        return train(watch.experiment, path, progress=watch, loggers=loggers)
    if not is_run(path) or not is_run_of(path, watch.experiment):
        raise Failed(f"{path}: holds something else")
    run = Run(path)
    if run.state == "finished":
        return run
    if run.state == "pruned":
        raise optuna.TrialPruned
    if run.state in ("failed", "diverged"):
        raise Failed(run.record["error"])
    return resume(run, progress=watch)


class Watch(Progress):
    """Progress of a run that reports to the sweep and asks the pruner."""

    def __init__(self, experiment: Experiment, job: Job, trial: optuna.Trial, index: int, on_update: OnUpdate) -> None:
        super().__init__(experiment)
        self._trial, self._on_update = trial, on_update
        self._name = run_names(job.sweep, trial.number, trial.params)[index]
        self._before = index * experiment.steps
        self._whole = experiment.steps * (1 if job.sweep.grid is not None else len(job.sweep.seeds))
        self._metric = next(iter(job.sweep.metrics)) if job.sweep.pruner is not None else ""
        with storage_calls():
            self._last_point = max(trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values, default=-1)
        self._last_report = 0.0

    def start(self, step: int) -> None:
        super().start(step)
        self._report(step)

    def advance(self, step: int) -> None:
        if time.monotonic() - self._last_report > _REPORT_SECONDS:
            self._report(step)

    def measured(self, step: int, values: Mapping[str, float]) -> None:
        self._report(step, self.summary(step, values))
        if math.isfinite(values.get(self._metric, math.nan)):
            self._ask_pruner(self._before + step, values[self._metric])

    def _report(self, step: int, text: str = "") -> None:
        self._last_report = time.monotonic()
        self._on_update(Update(self._trial.number, self._name, step, (self._before + step) / self._whole, text))

    def _ask_pruner(self, point: int, value: float) -> None:
        """Report an evaluation point; points continue through a trial's runs. Those before a kill were decided then."""
        if point < self._last_point:
            return
        with storage_calls():
            if point > self._last_point:
                self._trial.report(value, point)
            if self._trial.should_prune():
                raise optuna.TrialPruned
