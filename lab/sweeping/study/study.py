"""Sweep <-> study: where both lie, how a study is made or found again, and which trial a worker takes next."""

from __future__ import annotations

import fcntl
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import TrialState

from lab.errors import LabError, Occupied
from lab.runs.files import read_json, readable_errors, write_atomic, write_json
from lab.runs.outputs import check_place
from lab.runs.run import RECORD, is_run
from lab.sweeping.spec.configurations import SEED, grid_trial, planned_trials, run_name
from lab.sweeping.spec.description import Sweep
from lab.sweeping.spec.files import dump
from lab.sweeping.spec.samplers import Listed, pruner_of, search_sampler
from lab.sweeping.study.leases import Lease, Leases
from lab.sweeping.study.storage import open_storage, shown, storage_calls

IDENTITY, AGAIN, SECONDS, ERROR = "sweep", "again", "seconds", "error"
"""Attributes: of a study the identity of its sweep, and runs that were asked for again; of a trial its training time and why it
failed."""


@dataclass(frozen=True)
class Place:
    """Where a sweep lies.

    Attributes:
        runs: Folder of the run folders.
        books: Folder of all else: the sweep's YAML, the journal, leases, tables.
        storage: URL of the storage; None for the journal.
    """

    runs: Path
    books: Path
    storage: str | None = None

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return self.books / "study.journal"

    @property
    def description(self) -> Path:
        """The sweep as YAML."""
        return self.books / "sweep.yaml"

    @property
    def runs_table(self) -> Path:
        """The table of its runs."""
        return self.books / "runs.csv"

    @property
    def frame_table(self) -> Path:
        """The tidy frame of its runs."""
        return self.books / "frame.csv"

    @property
    def leases(self) -> Leases:
        """The leases of its trials."""
        return Leases(self.books / ".leases")

    def __str__(self) -> str:
        return str(self.books) if self.storage is None else shown(self.storage)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Inside, no other process sets the sweep up."""
        with readable_errors(self.books):
            self.leases.folder.mkdir(parents=True, exist_ok=True)
            self.runs.mkdir(parents=True, exist_ok=True)
            lock = (self.leases.folder / "setup").open("w")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@dataclass(frozen=True)
class Job:
    """What a worker needs to know.

    Attributes:
        sweep: The sweep, with the metrics that are wanted of it stated.
        place: Where it lies.
        steps: Optimiser steps of its longest run.
    """

    sweep: Sweep
    place: Place
    steps: int


def refuse_others(job: Job) -> None:
    """Refuse a place that holds another sweep, without writing anything.

    Raises:
        LabError: If it does, or the storage cannot be reached.
    """
    if job.place.storage is not None:
        found = _find(open_storage(job.place.storage, job.place.journal), job)
    elif job.place.journal.is_file():
        found = _find(open_storage(None, job.place.journal), job)
    else:
        found = None
    if found is None and job.place.description.is_file():
        raise Occupied(f"{job.place.books}: holds a sweep whose study is not in {job.place}")
    check_place(job.place.runs / SEED)
    for path in (job.place.runs_table, job.place.frame_table):
        if found is None and path.exists():
            raise Occupied(f"{path}: exists already and is no table of a sweep")


def set_up(job: Job) -> Study:
    """The job's study, made if it is not there yet."""
    with job.place.alone():
        job.place.leases.check()
        if job.place.storage is None:
            with readable_errors(job.place.journal):
                job.place.journal.touch()
        storage = open_storage(job.place.storage, job.place.journal)
        study = _find(storage, job)
        if study is None:
            directions: list[Any] = [f"{direction[:-3]}ize" for direction in job.sweep.metrics.values()]
            with storage_calls():
                study = _study(storage, job, lambda **options: optuna.create_study(directions=directions, **options))
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                    study.set_metric_names(list(job.sweep.metrics))
        if IDENTITY not in study.user_attrs:
            with storage_calls():
                study.set_user_attr(IDENTITY, job.sweep.identity)
        write_atomic(job.place.description, dump(job.sweep))
    return study


def open_study(job: Job) -> Study:
    """The job's study, which is there.

    Raises:
        LabError: If it is not, or another sweep's.
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
        study = _study(storage, job, optuna.load_study)
        theirs = study.user_attrs.get(IDENTITY)
        empty = theirs is None and not study.get_trials(deepcopy=False)  # killed while it was made
    if theirs != job.sweep.identity and not empty:
        argument = "out" if job.place.storage is None else "storage"
        raise Occupied(f"{job.place}: holds a study {job.sweep.name!r} with other settings", argument)
    return study


def _study(storage: BaseStorage, job: Job, make: Callable[..., Study]) -> Study:
    sweep = job.sweep
    steps = job.steps * (1 if sweep.grid is not None else len(sweep.seeds))
    study = make(study_name=sweep.name, storage=storage, pruner=pruner_of(sweep, steps))
    study.sampler = search_sampler(sweep) if sweep.grid is None else Listed(lambda number: grid_params(study, sweep, number))
    return study


def grid_params(study: Study, sweep: Sweep, number: int) -> dict[str, Any]:
    """Cell and seed of a grid's trial; numbers beyond the grid are those that were asked for again."""
    return grid_trial(sweep, grid_place(study, sweep, number))


def grid_place(study: Study, sweep: Sweep, number: int) -> int:
    """Which of the grid's runs a trial is."""
    whole = len(sweep.cells) * len(sweep.seeds)
    return number if number < whole else int(study.user_attrs[AGAIN][number - whole])


def ask_again(job: Job, study: Study, *, retry_failed: bool) -> None:
    """Plan another trial for each of a grid's runs whose folder is gone, and if asked for each that failed."""
    sweep = job.sweep
    with job.place.alone(), storage_calls():
        again = list(study.user_attrs.get(AGAIN, ()))
        trials = study.get_trials(deepcopy=False)
        whole = len(sweep.cells) * len(sweep.seeds)
        begun = max(0, len(trials) - whole)
        latest = {grid_place(study, sweep, trial.number): trial for trial in trials}
        more = []
        for place, trial in latest.items():
            labels = grid_trial(sweep, place)
            path = job.place.runs / run_name(sweep, labels, labels[SEED])
            gone = trial.state is TrialState.COMPLETE and not path.exists()
            failed = retry_failed and trial.state is TrialState.FAIL
            if (gone or failed) and place not in again[begun:]:
                more.append(place)
                if failed and is_run(path):
                    write_json(path / RECORD, read_json(path / RECORD) | {"state": "stopped"})
        if more:
            study.set_user_attr(AGAIN, again + more)


def is_exhausted(study: Study, sweep: Sweep, number: int) -> bool:
    """Whether the budget has no room for a trial of this number."""
    planned = planned_trials(sweep)
    if planned is not None and number >= planned + len(study.user_attrs.get(AGAIN, ())):
        return True
    if sweep.budget.seconds is None:
        return False
    spent = sum(trial.user_attrs.get(SECONDS, 0.0) for trial in study.get_trials(deepcopy=False))
    return bool(spent >= sweep.budget.seconds)


@dataclass(frozen=True)
class Claim:
    """A trial that is this worker's until it gives the lease back."""

    trial: optuna.Trial
    lease: Lease


def claim(job: Job, study: Study, waits: Callable[[], None] = lambda: None) -> Claim | None:
    """The next trial for this worker: one that another has lost, else a new one; waits while others may yet be lost.

    Only the holder of lease k creates trial k, so that no trial is ever without a lease that says who works on it.

    Returns:
        None when all trials are done and the budget has no room for more.
    """
    leases = job.place.leases
    while True:
        with storage_calls():
            running = [trial for trial in study.get_trials(deepcopy=False) if trial.state is TrialState.RUNNING]
        for lost in running:
            lease = leases.take(lost.number)
            if lease is None:
                continue
            with storage_calls():
                if study.get_trials(deepcopy=False)[lost.number].state is TrialState.RUNNING:
                    return Claim(_ask(study, job.sweep, lost._trial_id), lease)
            lease.give_back()  # its holder told the result in between
        with leases.turn():
            claimed, exhausted = _new(job, study)
        if claimed is not None:
            return claimed
        if exhausted and not running:
            return None
        if exhausted:
            waits()
            time.sleep(0.5)


def _new(job: Job, study: Study) -> tuple[Claim | None, bool]:
    """A trial that nobody had before, unless a worker of another machine is just making it; whether there are no more."""
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
            return Claim(_ask(study, job.sweep, None), lease), False
    lease.give_back()
    return None, False


def _ask(study: Study, sweep: Sweep, lost: int | None) -> optuna.Trial:
    """A new trial or a lost one with all its parameters, some of which it may have had before."""
    trial = study.ask() if lost is None else optuna.Trial(study, lost)
    for name, space in sweep.axes.items():
        space.suggest(trial, name)
    if sweep.grid is not None:
        trial.suggest_categorical(SEED, sweep.seeds)
    return trial
