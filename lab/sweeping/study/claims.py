"""Claims: the trial that a worker takes next, with its lease."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import optuna
from optuna.study import Study
from optuna.trial import TrialState

from lab.sweeping.spec.configurations import SEED
from lab.sweeping.spec.description import Sweep
from lab.sweeping.study.leases import Lease
from lab.sweeping.study.place import Job
from lab.sweeping.study.storage import storage_calls
from lab.sweeping.study.study import is_exhausted

_WAIT_SECONDS = 0.5
"""Seconds between two searches for trials that other workers have lost."""


@dataclass(frozen=True)
class Claim:
    """A trial that belongs to this worker until it releases the lease."""

    trial: optuna.Trial
    lease: Lease


def claim(job: Job, study: Study, on_wait: Callable[[], None] = lambda: None) -> Claim | None:
    """Claim an abandoned trial if there is one, else a new one; block while other workers could still fail.

    Only the holder of lease k creates trial k, so that every trial has a lease, which tells whether a worker has it.

    Args:
        job: The sweep.
        study: Its study.
        on_wait: Called before each wait.

    Returns:
        None when all trials are done and the budget has no room for another.
    """
    leases = job.place.leases
    while True:
        with storage_calls():
            running = [trial for trial in study.get_trials(deepcopy=False) if trial.state is TrialState.RUNNING]
        for abandoned in running:
            lease = leases.take(abandoned.number)
            if lease is None:
                continue
            with storage_calls():
                if study.get_trials(deepcopy=False)[abandoned.number].state is TrialState.RUNNING:
                    return Claim(ask(study, job.sweep, abandoned._trial_id), lease)
            lease.release()  # its holder has reported the result in between
        with leases.creation_lock():
            claimed, exhausted = _claim_new(job, study)
        if claimed is not None:
            return claimed
        if exhausted and not running:
            return None
        if exhausted:
            on_wait()
            time.sleep(_WAIT_SECONDS)


def _claim_new(job: Job, study: Study) -> tuple[Claim | None, bool]:
    """Claim a new trial, unless a worker of another machine is creating it. The flag says that the budget is spent."""
    with storage_calls():
        number = len(study.get_trials(deepcopy=False))
        if is_exhausted(study, job.sweep, number):
            return None, True
    lease = job.place.leases.take(number)
    if lease is None:
        time.sleep(0.02)
        return None, False
    with storage_calls():
        if len(study.get_trials(deepcopy=False)) == number:
            return Claim(ask(study, job.sweep, None), lease), False
    lease.release()
    return None, False


def ask(study: Study, sweep: Sweep, trial_id: int | None) -> optuna.Trial:
    """Return a new or an abandoned trial with all its parameters, some of which an abandoned one may have already."""
    trial = study.ask() if trial_id is None else optuna.Trial(study, trial_id)
    for name, space in sweep.axes.items():
        space.suggest(trial, name)
    if sweep.grid is not None:
        trial.suggest_categorical(SEED, sweep.seeds)
    return trial
