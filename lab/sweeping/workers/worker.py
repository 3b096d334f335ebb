"""A worker: takes a trial, trains its runs or goes on with them, tells the study, until nothing is left."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Mapping

import optuna
from optuna.study import Study
from optuna.trial import TrialState

from lab.config import Experiment
from lab.errors import Interrupted
from lab.runs import Run
from lab.runs.lock import Busy
from lab.runs.run import is_run
from lab.sweeping.spec.check import holds
from lab.sweeping.spec.configurations import trial_experiments, trial_names
from lab.sweeping.study.storage import StorageLost, storage_calls
from lab.sweeping.study.study import Claim, Job, claim, open_study
from lab.sweeping.workers.trials import Failed, Tell, Update, finish, reason, trial_values, values_text
from lab.training.fit import resume, train
from lab.training.progress import Progress


def work(job: Job, tell: Tell) -> None:
    """Do trials until none is left.

    Raises:
        StorageLost: If the storage does not answer; everything goes on where it was when the sweep is started again.
        Busy: If somebody else trains a run of the sweep.
        Interrupted: After Ctrl-C.
    """
    study = open_study(job)
    while True:
        claimed = claim(job, study, lambda: tell(Update(-1)))
        if claimed is None:
            return
        tell(Update(claimed.trial.number))
        try:
            do(job, study, claimed, tell)
        finally:
            claimed.lease.give_back()
        gc.collect()


def do(job: Job, study: Study, claimed: Claim, tell: Tell) -> None:
    """Train what is left of a trial's runs and tell the study how it ended."""
    trial, number = claimed.trial, claimed.trial.number
    names = trial_names(job.sweep, number, trial.params)
    values: list[float] | None = None
    try:
        runs = zip(names, trial_experiments(job.sweep, trial.params), strict=True)
        done = [_train(job, trial, place, name, each, tell) for place, (name, each) in enumerate(runs)]
        values = trial_values(job, done)
        state, text = TrialState.COMPLETE, values_text(job.sweep, values)
    except (Busy, Interrupted, StorageLost, KeyboardInterrupt):
        raise
    except optuna.TrialPruned:
        state, text = TrialState.PRUNED, "pruned"
    except Exception as error:  # whatever it is, the rest of the sweep must go on
        state, text = TrialState.FAIL, reason(error)
    finish(job, study, trial, state, text, values, names)
    tell(Update(number, names[0], text=text, ended=state))


def _train(job: Job, trial: optuna.Trial, place: int, name: str, experiment: Experiment, tell: Tell) -> Run:
    """One of a trial's runs: taken as it is, gone on with, or begun."""
    path = job.place.runs / name
    watch = Watch(experiment, job, trial, place, name, tell)
    if not path.exists():
        return train(experiment, path, progress=watch)
    if not is_run(path) or not holds(path, experiment):
        raise Failed(f"{path}: something else lies there")
    run = Run(path)
    if run.state == "finished":
        return run
    if run.state == "pruned":
        raise optuna.TrialPruned
    if run.state in ("failed", "diverged"):
        raise Failed(run.record["error"])
    return resume(run, progress=watch)


class Watch(Progress):
    """Tells the parent how a run goes, ends it where nothing can come of it any more, and asks the pruner."""

    def __init__(self, experiment: Experiment, job: Job, trial: optuna.Trial, place: int, name: str, tell: Tell) -> None:
        super().__init__(experiment)
        self._trial, self._name, self._tell = trial, name, tell
        self._before = place * experiment.steps
        self._whole = experiment.steps * (1 if job.sweep.grid is not None else len(job.sweep.seeds))
        self._metric = next(iter(job.sweep.metrics)) if job.sweep.pruner is not None else ""
        with storage_calls():
            self._reported = max(trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values, default=-1)
        self._told = 0.0

    def start(self, step: int) -> None:
        super().start(step)
        self._say(step)

    def advance(self, step: int) -> None:
        if time.monotonic() - self._told > 0.3:
            self._say(step)

    def measured(self, step: int, values: Mapping[str, float]) -> None:
        self._say(step, self.summary(step, values))
        if math.isfinite(values.get(self._metric, math.nan)):
            self._ask_pruner(self._before + step, values[self._metric])

    def _say(self, step: int, text: str = "") -> None:
        self._told = time.monotonic()
        self._tell(Update(self._trial.number, self._name, step, (self._before + step) / self._whole, text))

    def _ask_pruner(self, point: int, value: float) -> None:
        """Evaluation points go on through the runs of a trial. Those that were reported before a kill were decided then."""
        if point < self._reported:
            return
        with storage_calls():
            if point > self._reported:
                self._trial.report(value, point)
            if self._trial.should_prune():
                raise optuna.TrialPruned
