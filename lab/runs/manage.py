"""Remove and move runs: never one that a process trains, and nothing but runs."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.errors import LabError
from lab.runs.files import folder_atomic, partial_of, readable_errors
from lab.runs.layout import RECORD, is_run
from lab.runs.lock import LOCK, Lock
from lab.runs.outputs import check_place

_SWEEP = "sweep.yaml"


def remove_runs(paths: Sequence[Path]) -> None:
    """Remove runs, with everything in their folders: all of them, or none if one cannot be removed.

    Raises:
        LabError: As `check_runs`, or if a process trains one of them.
    """
    runs = check_runs(paths)
    with _locked(runs):
        for run in runs:
            _remove(run)


def move_run(path: Path, target: Path) -> Path:
    """Move a run to another place, also of another file system.

    Args:
        path: The run.
        target: Its new folder, or a folder that is to hold it under its name.

    Returns:
        Its new folder.

    Raises:
        LabError: As `remove_runs`; if it belongs to a sweep; or if the new place exists, has no parent, or lies in a run or a
            sweep.
    """
    (run,) = check_runs([path])
    if sweep := sweep_of(path):
        raise LabError(f"{path}: is a run of the sweep in {sweep}, which would miss it; copy it instead")
    if target.is_dir() and not is_run(target):
        target = target / run.resolve().name
    check_place(target)
    if target.exists() or target.is_symlink():
        raise LabError(f"{target}: exists already")
    if not target.parent.is_dir():
        raise LabError(f"{target.parent}: no such folder")
    if sweep := sweep_of(target):
        raise LabError(f"{target}: would lie among the runs of the sweep in {sweep}")
    with _locked([run]), readable_errors(target):
        try:
            run.resolve().rename(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            with folder_atomic(target) as partial:
                shutil.copytree(run, partial, symlinks=True, ignore=shutil.ignore_patterns(LOCK), dirs_exist_ok=True)
            _remove(run)
    return target


def sweep_of(run: Path) -> Path | None:
    """Return the folder of the sweep that a run belongs to, if there is one."""
    folder = run.absolute().parent
    return folder if (folder / _SWEEP).is_file() else None


def check_runs(paths: Sequence[Path]) -> list[Path]:
    """Check that some folders are runs, and return them, each once.

    Raises:
        LabError: If a folder is missing, is no run, is a link, or holds another run.
    """
    for path in paths:
        if path.is_symlink():
            raise LabError(f"{path}: is a link to {path.resolve()}; name the run itself")
        if not path.is_dir():
            raise LabError(f"{path}: no such folder")
        if not is_run(path):
            below = next(path.rglob(RECORD), None)
            hint = "it holds no run.json" if below is None else f"but holds some, as {below.parent}; name the runs themselves"
            raise LabError(f"{path}: not a run ({hint})")
        if inner := next((each.parent for each in path.rglob(RECORD) if each.parent != path), None):
            raise LabError(f"{path}: holds another run, {inner}")
    return list({path.resolve(): path for path in paths}.values())


@contextmanager
def _locked(runs: Sequence[Path]) -> Iterator[None]:
    """Hold the locks of runs, so that no process trains or resumes them."""
    locks: list[Lock] = []
    try:
        for run in runs:
            locks.append(Lock(run))
        yield
    finally:
        for lock in locks:
            lock.release()


def _remove(run: Path) -> None:
    """Remove a folder; a kill leaves no half of it under its name."""
    doomed = partial_of(run.resolve())
    with readable_errors(run):
        run.resolve().rename(doomed)
        shutil.rmtree(doomed)
