"""Check paths of outputs: never in a run's folder or over a sweep's files; over files of others only when forced."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from lab.errors import LabError, Occupied

MARK = "mtp-lab"
"""Stands in every figure and page of ours."""
PICTURES = (".png", ".pdf", ".svg")
_PICTURE = MARK.encode() + rb" numbers [0-9a-f]{16}|tEXtComment\x00(" + MARK.encode() + rb"|[0-9a-f]{16})"
"""The mark in a figure (`mark_of`), or in the picture of a task (`lab.plots.gallery.png`)."""
_OF_A_RUN = ("run.json", "experiment.yaml")
_OF_A_SWEEP = ("sweep.yaml", "runs.csv", "frame.csv")
_FOREIGN = "exists, and no such command wrote it"


def check_file(path: Path, suffixes: tuple[str, ...], *, begins: str = "", force: bool = False) -> None:
    """Reject the path of an output before any work is done for it.

    Args:
        path: Of the file.
        suffixes: Kinds of files that it may be.
        begins: The first characters of a file of this kind if we wrote it. Pictures carry a mark; that of a figure includes a
            digest of the table beside it, so that an edited table is no longer ours.
        force: Whether a file that we did not write may be replaced.

    Raises:
        LabError: For another kind of file, a folder that is missing or cannot be written, a path within a run's folder, a file
            of a sweep, or, without `force`, a file that we did not write.
    """
    if path.suffix not in suffixes:
        raise LabError(f"{path}: the file must be a {' or '.join(suffixes)}")
    if not path.parent.is_dir():
        raise LabError(f"{path.parent}: no such folder")
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise LabError(f"{path}: cannot be written")
    check_place(path)
    if path.exists() and not force and not _is_ours(path, begins):
        raise Occupied(f"{path}: {_FOREIGN}", forcible=True)


def check_place(path: Path) -> None:
    """Reject a path within a run's folder, or of one of a sweep's own files.

    Raises:
        LabError: Naming the run or the sweep.
    """
    for folder in path.resolve().parents:
        if all((folder / name).is_file() for name in _OF_A_RUN):
            raise Occupied(f"{path}: lies in the run {folder.name}, whose folder holds nothing else")
    if path.name in _OF_A_SWEEP and (path.parent / _OF_A_SWEEP[0]).is_file():
        raise Occupied(f"{path}: belongs to the sweep in {path.parent}")


def check_folder(folder: Path, page: str, *, force: bool = False) -> None:
    """Reject a folder for a page with figures and numbers before any work is done for it.

    Args:
        folder: It need not exist.
        page: The page's name; if the page is ours, the figures and tables beside it are ours as well.
        force: Whether files that we did not write may be replaced.

    Raises:
        LabError: If it is no folder, lies within a run's folder, or, without `force`, holds a page, pictures or tables that we
            did not write.
    """
    if folder.exists() and not folder.is_dir():
        raise Occupied(f"{folder}: is not a folder")
    check_place(folder / page)
    if force or not folder.is_dir() or ((folder / page).is_file() and MARK.encode() in (folder / page).read_bytes()):
        return
    theirs = [path for path in folder.iterdir() if path.name == page or path.suffix in (*PICTURES, ".csv")]
    if theirs:
        raise Occupied(f"{min(theirs)}: {_FOREIGN}", forcible=True)


def mark_of(numbers: str) -> str:
    """Return the mark of a figure's file: our name and a digest of the table beside it."""
    return f"{MARK} numbers {hashlib.sha256(numbers.encode()).hexdigest()[:16]}"


def _is_ours(path: Path, begins: str) -> bool:
    if not path.is_file():
        return False
    data = path.read_bytes()
    if begins:
        return data.startswith(begins.encode())
    if path.suffix in PICTURES:
        return re.search(_PICTURE, data) is not None
    mark = mark_of(data.decode(errors="replace")).encode()
    beside = [path.with_suffix(suffix) for suffix in PICTURES]
    return any(mark in picture.read_bytes() for picture in beside if picture.is_file())
