"""The Optuna study of a sweep: set up, opened, and extended by retries."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import TrialState

from lab.errors import LabError, Occupied
from lab.runs.files import read_json, readable_errors, write_atomic, write_json
from lab.runs.layout import RECORD, is_run
from lab.runs.outputs import check_place
from lab.sweeping.spec.configurations import SEED, grid_trial, planned_trials, run_name
from lab.sweeping.spec.description import Sweep
from lab.sweeping.spec.files import dump
from lab.sweeping.spec.samplers import ListSampler, pruner_of, search_sampler
from lab.sweeping.study.place import Job
from lab.sweeping.study.storage import open_storage, storage_calls

IDENTITY, RETRIES = "sweep", "again"
"""Attributes of a study: the identity of its sweep, and the indices of runs in the grid that are trained again."""
SECONDS, ERROR = "seconds", "error"
"""Attributes of a trial: its training time, and why it failed."""
_DIRECTIONS = {"maximise": "maximize", "minimise": "minimize"}


def check_unused(job: Job) -> None:
    """Check that the job's folders and storage hold no other sweep, without writing anything.

    Raises:
        Occupied: If it does.
        LabError: If the storage cannot be reached.
    """
    there = job.place.storage is not None or job.place.journal.is_file()
    found = _find(open_storage(job.place.storage, job.place.journal), job) if there else None
    if found is None and job.place.description.is_file():
        raise Occupied(f"{job.place.state_dir}: holds a sweep whose study is not in {job.place}")
    check_place(job.place.runs / SEED)
    for path in (job.place.runs_table, job.place.frame_table):
        if found is None and path.exists():
            raise Occupied(f"{path}: exists already and is no table of a sweep")


def set_up(job: Job) -> Study:
    """Open the job's study, and make it first if it does not exist."""
    with job.place.setup_lock():
        job.place.leases.check()
        if job.place.storage is None:
            with readable_errors(job.place.journal):
                job.place.journal.touch()
        storage = open_storage(job.place.storage, job.place.journal)
        study = _find(storage, job)
        if study is None:
            directions: list[Any] = [_DIRECTIONS[direction] for direction in job.sweep.metrics.values()]
            with storage_calls():
                study = _connect(storage, job, lambda **options: optuna.create_study(directions=directions, **options))
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                    study.set_metric_names(list(job.sweep.metrics))
        if IDENTITY not in study.user_attrs:
            with storage_calls():
                study.set_user_attr(IDENTITY, job.sweep.identity)
        write_atomic(job.place.description, dump(job.sweep))
    return study


def open_study(job: Job) -> Study:
    """Open the job's study.

    Raises:
        LabError: If it does not exist, or belongs to another sweep.
    """
    there = job.place.storage is not None or job.place.journal.is_file()
    study = _find(open_storage(job.place.storage, job.place.journal), job) if there else None
    if study is None:
        raise LabError(f"{job.place}: holds no study {job.sweep.name!r}; start it first")
    return study


def _find(storage: BaseStorage, job: Job) -> Study | None:
    with storage_calls():
        if job.sweep.name not in optuna.get_all_study_names(storage):
            return None
        study = _connect(storage, job, optuna.load_study)
        identity = study.user_attrs.get(IDENTITY)
        empty = identity is None and not study.get_trials(deepcopy=False)  # a kill came between its creation and its identity
    if identity != job.sweep.identity and not empty:
        argument = "out" if job.place.storage is None else "storage"
        raise Occupied(f"{job.place}: holds a study {job.sweep.name!r} with other settings", argument)
    return study


def _connect(storage: BaseStorage, job: Job, make: Callable[..., Study]) -> Study:
    sweep = job.sweep
    steps = job.steps * (1 if sweep.grid is not None else len(sweep.seeds))
    study = make(study_name=sweep.name, storage=storage, pruner=pruner_of(sweep, steps))
    if sweep.grid is None:
        study.sampler = search_sampler(sweep)
    else:
        study.sampler = ListSampler(lambda number: grid_trial(sweep, grid_index(study, sweep, number)))
    return study


def grid_index(study: Study, sweep: Sweep, number: int) -> int:
    """Return the index in the grid of a trial's run; trials beyond the grid are retries."""
    whole = planned_trials(sweep) or 0
    return number if number < whole else int(study.user_attrs[RETRIES][number - whole])


def plan_retries(job: Job, study: Study, *, retry_failed: bool) -> None:
    """Plan another trial for each of a grid's runs whose folder is gone, and with `retry_failed` for each that failed."""
    sweep = job.sweep
    with job.place.setup_lock(), storage_calls():
        retries = list(study.user_attrs.get(RETRIES, ()))
        trials = study.get_trials(deepcopy=False)
        begun = max(0, len(trials) - (planned_trials(sweep) or 0))
        latest = {grid_index(study, sweep, trial.number): trial for trial in trials}
        added = []
        for index, trial in latest.items():
            run = grid_trial(sweep, index)
            path = job.place.runs / run_name(sweep, run, run[SEED])
            gone = trial.state is TrialState.COMPLETE and not path.exists()
            failed = retry_failed and trial.state is TrialState.FAIL
            if (gone or failed) and index not in retries[begun:]:
                added.append(index)
                if failed and is_run(path):
                    write_json(path / RECORD, read_json(path / RECORD) | {"state": "stopped"})
        if added:
            study.set_user_attr(RETRIES, retries + added)


def total_trials(study: Study, sweep: Sweep) -> int | None:
    """Return the number of trials within the budget and of retries; None if the sweep is limited by time alone."""
    planned = planned_trials(sweep)
    return None if planned is None else planned + len(study.user_attrs.get(RETRIES, ()))


def is_exhausted(study: Study, sweep: Sweep, number: int) -> bool:
    """Check whether the budget has no room for a trial of this number."""
    total = total_trials(study, sweep)
    if total is not None and number >= total:
        return True
    if sweep.budget.seconds is None:
        return False
    spent = sum(trial.user_attrs.get(SECONDS, 0.0) for trial in study.get_trials(deepcopy=False))
    return bool(spent >= sweep.budget.seconds)
