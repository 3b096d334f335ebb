"""The status of runs: their state, progress and remaining time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.runs.layout import TIMING
from lab.runs.names import headline
from lab.runs.run import Run
from lab.runs.search import folders_in
from lab.runs.tables import Row
from tasks.errors import TaskError

RESULTLESS = ("failed", "diverged", "killed", "stopped", "pruned", "damaged", "missing")
"""States of runs that ended, or were interrupted, without a result."""
PENDING = ("running", "waiting")
"""States of runs that are being trained or will be."""


@dataclass(frozen=True, eq=False)
class Status:
    """The status of a run.

    Attributes:
        name: Its name among the runs that are shown.
        state: `Run.state`; also `damaged` (its folder cannot be read) and of a sweep's run `waiting` or `missing`.
        steps: Optimiser steps that it is to take.
        run: The run; None if it has not begun or cannot be read.
        rows: Its measurements.
        seconds: Wall time at each evaluation point, by step.
        error: Why it has no result, where that is known.
    """

    name: str
    state: str
    steps: int = 0
    run: Run | None = None
    rows: Sequence[Row] = ()
    seconds: dict[int, float] | None = None
    error: str = ""

    @property
    def step(self) -> int:
        """The last evaluation point."""
        return self.rows[-1].step if self.rows else 0

    @property
    def metric(self) -> str:
        """The headline metric of its task; empty without a run."""
        return "" if self.run is None else headline(self.run.experiment)

    @property
    def share(self) -> float:
        """The share of its steps that it has taken; 1 for a run that is not pending."""
        return min(1.0, self.step / self.steps) if self.state in PENDING and self.steps else float(self.state != "waiting")

    def curve(self, metric: str = "") -> list[float]:
        """Return the values of a metric, by default its headline, at the evaluation points."""
        name = metric or self.metric
        return [row.value for row in self.rows if row.metric == name]

    @property
    def seconds_per_step(self) -> float | None:
        """Wall time of a step from the evaluation points so far; None before the second."""
        points = sorted((self.seconds or {}).items())
        if len(points) < 2 or points[-1][0] == points[0][0]:
            return None
        return (points[-1][1] - points[0][1]) / (points[-1][0] - points[0][0])

    @property
    def seconds_left(self) -> float | None:
        """Wall time until its end; None if it does not run, or before its second evaluation point."""
        if self.state != "running" or self.run is None or (each := self.seconds_per_step) is None:
            return None
        path = self.run.path / TIMING
        since = time.time() - path.stat().st_mtime if path.exists() else 0.0
        return max(0.0, each * (self.steps - self.step) - since)


def read_status(run: Run, name: str = "", state: str = "", error: str = "") -> Status:
    """Read the status of a run from its folder.

    Args:
        run: The run.
        name: Its name; by default `run.key`.
        state: Its state, where a sweep knows better.
        error: Why it has no result, where a sweep knows.
    """
    state, steps = state or run.state, run.experiment.steps
    try:
        rows, seconds = run.metrics(), run.seconds()
        if state == "finished" and not rows:
            raise LabError(f"{run.path}: finished without metrics")
    except LabError as damage:
        return Status(name or run.key, "damaged", steps, error=str(damage))
    return Status(name or run.key, state, steps, run, rows, seconds, error or str(run.record.get("error", "")))


def read_statuses(path: Path) -> list[Status]:
    """Read the status of a run, or of every run below a folder; a run that cannot be read hides no other.

    Raises:
        LabError: If the folder is missing or holds no run.
    """
    folders, alone = folders_in(path)
    return [_read_folder(folder, folder.resolve().name if alone else folder.relative_to(path).as_posix()) for folder in folders]


def _read_folder(folder: Path, name: str) -> Status:
    try:
        run = Run(folder)
        run.key = name
        return read_status(run)
    except (LabError, TaskError) as error:
        return Status(name, "damaged", error=str(error))


def seconds_left(statuses: Sequence[Status], total: int) -> float | None:
    """Estimate the wall time until all runs have ended, if as many run at a time as now.

    Args:
        statuses: Of the runs that are known.
        total: Number of runs, also those that are not known yet.

    Returns:
        Seconds; None if no running run has two evaluation points.
    """
    running = [(each, cost * each.steps) for each in statuses if each.state == "running" and (cost := each.seconds_per_step)]
    if not running:
        return None
    runs_per_second = (
        sum(1 / seconds for _, seconds in running) * sum(each.state == "running" for each in statuses) / len(running)
    )
    left = total - sum(each.share for each in statuses)
    return max([left / runs_per_second, *(each.seconds_left or 0.0 for each, _ in running)])


def duration(seconds: float) -> str:
    """Return a time for people, with about two digits: `3.4 h`."""
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.{0 if seconds >= 20 * size else 1}f} {unit}"
    return f"{seconds:.0f} s"
