"""Find runs in folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.errors import LabError
from lab.runs.files import report_unreadable
from lab.runs.layout import RECORD, is_run
from lab.runs.run import Run
from tasks.errors import TaskError


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
        if not path.is_dir():
            raise LabError(f"{path}: no such folder")
        alone = is_run(path)
        found = [path] if alone else sorted(_run_folders(path))
        if not found:
            raise LabError(f"{path}: holds no runs")
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


def _run_folders(path: Path) -> Iterator[Path]:
    """Yield the folders of runs below a folder, without hidden ones; a link that leads back is followed once."""
    seen = set()
    for folder, below, files in os.walk(path, followlinks=True):
        real = Path(folder).resolve()
        below[:] = [] if real in seen else sorted(name for name in below if not name.startswith("."))
        if RECORD in files and real not in seen:
            yield Path(folder)
        seen.add(real)
