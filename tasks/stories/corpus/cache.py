"""Cache slow results on disk, each in a folder that is named by a hash of all that the result depends on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tasks.errors import TaskError

COMPLETE = "complete.json"
"""The last file of an entry to be written, with all that the result depends on."""


def cache_folder() -> Path:
    """Return `$XDG_CACHE_HOME/mtp-lab`, or `~/.cache/mtp-lab`.

    Raises:
        TaskError: If there is no home folder.
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mtp-lab"
    except RuntimeError as error:  # neither HOME nor a name for this user
        raise TaskError("XDG_CACHE_HOME must name a folder for the cache, since this user has no home folder") from error


def load_or_make(made_from: Mapping[str, object], make: Callable[[Path], None]) -> Path:
    """Return the folder of a result; make the result if there is none.

    Processes that make the same result at the same time use separate folders, and the first to finish moves its folder into
    place in one step, so that a reader finds all of a result or nothing.

    Args:
        made_from: All that the result depends on, for JSON: content, settings, versions.
        make: Writes the result into an empty folder.

    Raises:
        TaskError: If the cache cannot be written.
    """
    text = json.dumps(made_from, sort_keys=True)
    folder = cache_folder() / hashlib.sha256(text.encode()).hexdigest()[:32]
    if _is_complete(folder, text):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder.parent))
        try:
            make(partial)
            (partial / COMPLETE).write_text(text, encoding="utf-8")
            _move_into_place(partial, folder, text)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        where = error.filename or folder
        raise TaskError(f"{where}: {error.strerror}; the cache is in $XDG_CACHE_HOME/mtp-lab or ~/.cache/mtp-lab") from error
    return folder


def _is_complete(folder: Path, text: str) -> bool:
    """Return whether a folder has the complete result that depends on these values."""
    try:
        return (folder / COMPLETE).read_text(encoding="utf-8") == text
    except OSError:
        return False


def _move_into_place(partial: Path, folder: Path, text: str) -> None:
    """Move a new entry into place unless another process was faster; replace a damaged entry."""
    try:
        partial.rename(folder)
    except OSError:
        if not _is_complete(folder, text):
            shutil.rmtree(folder)
            partial.rename(folder)
