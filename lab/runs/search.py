"""Find runs in folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from lab.errors import LabError
from lab.runs.files import report_unreadable
from lab.runs.layout import RECORD, is_run, list_steps
from lab.runs.run import Run
from tasks.errors import TaskError

Runs = Sequence[Run | Path | str] | Run | Path | str
"""Runs, or folders of runs."""
Step = int | Literal["last", "all"]
"""Which kept weights of a run: the last, all, or those after a number of optimiser steps."""
Track = Callable[[Sequence[Any]], Iterable[Any]]
"""Iterates over a sequence, and may show how far it is."""


def open_each(runs: Runs) -> list[Run]:
    """Return runs, each once, opened where only a folder is given; a folder may hold several."""
    each = [runs] if isinstance(runs, (Run, Path, str)) else list(runs)
    found = [run for path in each for run in ([path] if isinstance(path, Run) else open_runs(path))]
    return list({run.path.resolve(): run for run in found}.values())


def open_some(runs: Runs) -> list[Run]:
    """Return runs as `open_each`, of which there must be one.

    Raises:
        LabError: If there is none, and as `open_runs`.
    """
    if not (found := open_each(runs)):
        raise LabError("runs must hold at least one run")
    return found


def choose_steps(run: Run, step: Step) -> list[int]:
    """Return the steps of a run's weights that a choice means.

    Raises:
        LabError: If the run has no weights, or none of this step.
    """
    kept = run.steps()
    if not kept:
        raise LabError(f"{run.path}: has no weights yet")
    if step == "all":
        return kept
    if step == "last":
        return kept[-1:]
    if step not in kept:
        raise LabError(f"{run.path}: has no weights of step {step!r}; step must be last, all, or {list_steps(kept)}")
    return [int(step)]


def open_runs(paths: Sequence[Path | str] | Path | str) -> list[Run]:
    """Open the runs in some folders: each a run itself, or a folder that is searched for runs.

    Links are followed, and each run is opened once.

    A search leaves out runs that a sweep has pruned or could not train: they must not be averaged with whole ones. A run that
    cannot be read is left out as well, and named on standard error.

    Raises:
        LabError: If a folder is missing or holds no run, or no run can be read.
    """
    runs: dict[Path, Run] = {}
    unreadable: list[LabError] = []
    for path in map(Path, [paths] if isinstance(paths, (str, Path)) else paths):
        found, alone = folders_in(path)
        for folder in found:
            try:
                run = Run(folder)
            except (LabError, TaskError) as error:
                unreadable.append(error if isinstance(error, LabError) else LabError(f"{folder}: {error}"))
                continue
            run.key = run.name if alone else folder.relative_to(path).as_posix()
            if alone or run.state not in ("pruned", "failed"):
                runs.setdefault(folder.resolve(), run)
    report_unreadable(unreadable, all_failed=not runs)
    return list(runs.values())


def folders_in(path: Path) -> tuple[list[Path], bool]:
    """Return the folders of the runs in a folder, sorted, and whether the folder is itself a run, which is then the only one.

    Raises:
        LabError: If the folder is missing or holds no run.
    """
    if not path.is_dir():
        raise LabError(f"{path}: no such folder")
    if is_run(path):
        return [path], True
    found = sorted(run_folders(path))
    if not found:
        raise LabError(f"{path}: holds no runs")
    return found, False


def run_folders(path: Path) -> Iterator[Path]:
    """Yield the folders of runs below a folder, without hidden ones; a link that leads back is followed once."""
    seen = set()
    for folder, below, files in os.walk(path, followlinks=True):
        real = Path(folder).resolve()
        below[:] = [] if real in seen else sorted(name for name in below if not name.startswith("."))
        if RECORD in files and real not in seen:
            yield Path(folder)
        seen.add(real)
