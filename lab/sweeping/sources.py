"""Runs by folder and by sweep, whose status can be read repeatedly."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab.errors import LabError, Occupied
from lab.runs import Run
from lab.runs.layout import is_run
from lab.runs.status import Status, read_status, read_statuses
from lab.sweeping.prepare import prepare
from lab.sweeping.results import Results, collect
from lab.sweeping.study.place import Job
from lab.sweeping.study.study import open_study, total_trials

Source = Run | Results | Path | str
Sources = Source | Sequence[Source]
"""Runs, folders of runs, sweeps as YAML files, folders of sweeps, or results of sweeps."""
_SWEEP = "sweep.yaml"


@dataclass(frozen=True)
class Snapshot:
    """The status of some runs at one moment.

    Attributes:
        statuses: Of the runs.
        total: Number of runs that there will be: that of `statuses`, or more where a search has not begun them.
    """

    statuses: list[Status]
    total: int

    @property
    def running(self) -> bool:
        """Whether a process trains one of them."""
        return any(each.state == "running" for each in self.statuses)

    @property
    def waiting(self) -> bool:
        """Whether some have not begun."""
        return len(self.statuses) < self.total or any(each.state == "waiting" for each in self.statuses)

    @property
    def progress(self) -> list[tuple[str, str, int]]:
        """Name, state and step of each run, to tell whether anything has changed."""
        return [(each.name, each.state, each.step) for each in self.statuses]


@dataclass(frozen=True)
class Found:
    """Runs to be read.

    Attributes:
        runs: Folders of runs, or of several.
        jobs: Sweeps.
    """

    runs: tuple[Path, ...]
    jobs: tuple[Job, ...]

    @property
    def tables(self) -> list[Path]:
        """The tables of the sweeps."""
        tables = [table for job in self.jobs for table in (job.place.runs_table, job.place.frame_table)]
        return [table for table in tables if table.is_file()]

    @property
    def silent_seconds(self) -> float:
        """Wall time since a sweep's journal was written; 0 without one."""
        journals = [job.place.journal for job in self.jobs if job.place.journal.is_file()]
        return max(0.0, time.time() - max((path.stat().st_mtime for path in journals), default=time.time()))

    def read(self) -> Snapshot:
        """Read the status of every run, each once, without writing anything; names of runs are unique.

        Raises:
            LabError: If a folder or a sweep is gone.
        """
        found: dict[Path, tuple[Path, Status]] = {}
        for path in self.runs:
            for status in read_statuses(path):
                folder = path if is_run(path) else path / status.name
                found.setdefault(folder.resolve(), (folder, status))
        to_come = 0
        for job in self.jobs:
            rows = collect(job).runs.to_dict("records")
            for row in rows:  # a sweep knows more of a run than its folder
                folder = job.place.runs / str(row["run"])
                found[folder.resolve()] = folder, _sweep_status(job, row)
            planned = None if job.sweep.grid is not None else total_trials(open_study(job), job.sweep)
            to_come += max(0, (planned or 0) * len(job.sweep.seeds) - len(rows))
        names = Counter(status.name for _, status in found.values())
        statuses = [
            status if names[status.name] == 1 else replace(status, name=str(folder)) for folder, status in found.values()
        ]
        return Snapshot(statuses, len(statuses) + to_come)


def find(sources: Sources, storage: str | None = None) -> Found:
    """Find runs and sweeps.

    Args:
        sources: See `Sources`.
        storage: URL of the sweeps' storage; by default a journal beside their runs.

    Raises:
        LabError: If there is none, or one is missing, is no run and no sweep, or is a sweep that was never started.
    """
    given = [sources] if isinstance(sources, (Run, Results, Path, str)) else list(sources)
    if not given:
        raise LabError("runs must hold at least one run")
    runs: list[Path] = []
    jobs: list[Job] = []
    for each in given:
        if isinstance(each, Results):
            jobs.append(each.job)
            continue
        path = each.path if isinstance(each, Run) else Path(each)
        if path.is_dir() and (path / _SWEEP).is_file():
            jobs.append(_prepare(path / _SWEEP, path, storage))
        elif path.is_file():
            jobs.append(_prepare(path, None, storage))
        else:
            runs.append(path)
    if storage is not None and not jobs:
        raise LabError("storage is for sweeps")
    jobs = list({job.place.runs.resolve(): job for job in jobs}.values())
    for job in jobs:
        open_study(job)
    return Found(tuple(dict.fromkeys(runs)), tuple(jobs))


def _prepare(file: Path, folder: Path | None, storage: str | None) -> Job:
    """Prepare a sweep that is only read: what occupies its place is an error that no other `out` mends."""
    try:
        return prepare(file, folder, storage).job
    except Occupied as error:
        raise LabError(str(error)) from error


def _sweep_status(job: Job, row: Mapping[Any, Any]) -> Status:
    name, state, error = str(row["run"]), str(row["state"]), str(row["error"] or "")
    path = job.place.runs / name
    if state in ("damaged", "missing", "waiting") or not is_run(path):
        return Status(name, state, job.steps, error=error)
    run = Run(path)
    run.key = name
    return read_status(run, name, state, error)
