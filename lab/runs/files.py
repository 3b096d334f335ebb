"""Write files so that a kill at any moment leaves the old or the new one, and report system errors in one line."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lab.errors import LabError


@contextmanager
def readable_errors(path: Path) -> Iterator[None]:
    """Turn a system error (full disk, read-only folder, ...) into one line that names the path.

    Raises:
        LabError: For any OSError inside.
    """
    try:
        yield
    except OSError as error:
        named = error.filename is not None and ".partial" not in str(error.filename)
        raise LabError(f"{error.filename if named else path}: {error.strerror or error}") from error


def partial_of(path: Path) -> Path:
    """Return a hidden temporary path beside another one, unique to this call."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")


def write_atomic(path: Path, content: str | bytes) -> None:
    """Replace a file's content in one step; text is encoded as UTF-8 (with surrogateescape, for odd file names).

    Raises:
        LabError: If the file cannot be written.
    """
    partial = partial_of(path)
    with readable_errors(path):
        try:
            with partial.open("wb") as file:
                file.write(content if isinstance(content, bytes) else content.encode(errors="surrogateescape"))
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def folder_atomic(path: Path) -> Iterator[Path]:
    """Create a folder that appears with all its files or not at all; yields where to write them.

    Raises:
        LabError: If the folder cannot be written or exists already.
    """
    partial = partial_of(path)
    with readable_errors(path):
        missing = [parent for parent in partial.parents if not parent.exists()]
        try:
            partial.mkdir(parents=True)
            yield partial
            try:
                partial.rename(path)
            except OSError as error:
                if path.exists():
                    raise LabError(f"{path}: exists already") from error
                raise
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            for parent in missing:
                with suppress(OSError):
                    parent.rmdir()
            raise


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file in one step."""
    write_atomic(path, json.dumps(value, indent=1) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        LabError: If it cannot be read or is not JSON.
    """
    with readable_errors(path):
        text = path.read_bytes()
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LabError(f"{path}: not JSON, perhaps cut short") from error


def report_unreadable(errors: Sequence[LabError], *, all_failed: bool) -> None:
    """Name on standard error the runs that cannot be read and are left out.

    Raises:
        LabError: The first, if nothing is left.
    """
    if errors and all_failed:
        raise errors[0]
    for error in errors:
        print(f"lab: left out: {error}", file=sys.stderr)
