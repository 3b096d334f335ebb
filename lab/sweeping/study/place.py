"""The folders, files and storage of a sweep."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lab.config import Experiment, override
from lab.errors import LabError, Occupied
from lab.runs import Run
from lab.runs.files import readable_errors
from lab.runs.layout import is_run
from lab.sweeping.spec.check import Checked
from lab.sweeping.spec.configurations import SEED, run_name
from lab.sweeping.spec.description import Sweep
from lab.sweeping.study.leases import Leases
from lab.sweeping.study.storage import hide_password
from tasks.errors import TaskError


@dataclass(frozen=True)
class Place:
    """The folders and the storage of a sweep.

    Attributes:
        runs: Folder of the run folders.
        state_dir: Folder of everything else: the sweep's YAML, the journal, leases, tables.
        storage: URL of the storage; None for the journal.
    """

    runs: Path
    state_dir: Path
    storage: str | None = None

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return self.state_dir / "study.journal"

    @property
    def description(self) -> Path:
        """The sweep as YAML."""
        return self.state_dir / "sweep.yaml"

    @property
    def runs_table(self) -> Path:
        """The table of its runs."""
        return self.state_dir / "runs.csv"

    @property
    def frame_table(self) -> Path:
        """The tidy frame of its runs."""
        return self.state_dir / "frame.csv"

    @property
    def leases(self) -> Leases:
        """The leases of its trials."""
        return Leases(self.state_dir / ".leases")

    def __str__(self) -> str:
        return str(self.state_dir) if self.storage is None else hide_password(self.storage)

    @contextmanager
    def setup_lock(self) -> Iterator[None]:
        """Make the folders, and keep other processes from setting the sweep up inside."""
        with readable_errors(self.state_dir):
            self.leases.folder.mkdir(parents=True, exist_ok=True)
            self.runs.mkdir(parents=True, exist_ok=True)
            lock = (self.leases.folder / "setup").open("w")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@dataclass(frozen=True)
class Job:
    """A sweep with its folders and storage: everything that a worker needs.

    Attributes:
        sweep: The sweep, with its metrics stated.
        place: Its folders and storage.
        steps: Optimiser steps of its longest run.
        loggers: Of each run; see `lab.train`.
    """

    sweep: Sweep
    place: Place
    steps: int
    loggers: tuple[str, ...] = ()


def check_runs(checked: Checked, folder: Path) -> None:
    """Check that the paths of a grid's runs hold nothing but these runs.

    Raises:
        Occupied: Naming what lies there.
    """
    if folder.exists() and not folder.is_dir():
        raise Occupied(f"{folder}: is not a folder")
    if checked.sweep.grid is None:
        return
    others: list[Path] = []
    for configuration, experiment in checked.possible:
        for seed in checked.sweep.seeds:
            path = folder / run_name(checked.sweep, configuration, seed)
            if not path.exists():
                continue
            if not is_run(path):
                raise Occupied(f"{path}: exists already and is no run")
            with suppress(LabError, TaskError):  # a damaged run hides no other: results name it, and no worker replaces it
                if not is_run_of(path, override(experiment, {SEED: seed})):
                    others.append(path)
    if others:
        raise Occupied(f"{others[0]}: holds a run of another experiment")


def is_run_of(path: Path, experiment: Experiment) -> bool:
    """Check whether a folder's run is of an experiment. Fingerprints of older versions lack settings that are newer."""
    run = Run(path)
    return not run.is_edited and (run.record.get("fingerprint") == experiment.fingerprint or run.experiment == experiment)
