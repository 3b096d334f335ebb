"""The record of a run, `run.json`, read and checked."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lab.errors import LabError
from lab.runs.files import read_json
from lab.runs.layout import EXPERIMENT, FORMAT, RECORD
from tasks.errors import shown

_NEEDED = ("wall_seconds", "non_embedding_parameters")
_KINDS = MappingProxyType(
    {
        "a text": ("state", "fingerprint", "data", "reached", "error"),
        "a number": (*_NEEDED, "last_step", "diverged_step"),
        "a mapping": ("versions", "init", "loggers"),
    }
)
"""Entries that readers use, by what they must be."""
_MOST = 1e18
"""Greatest number of an entry: beyond any run, and small enough to compute with."""


def read_record(path: Path) -> dict[str, Any]:
    """Read the record of the run in a folder.

    Raises:
        LabError: If it cannot be read, has another format, or an entry that readers use is missing or wrong.
    """
    file = path / RECORD
    record = read_json(file)
    if not isinstance(record, dict) or "format" not in record or "state" not in record:
        raise LabError(f"{file}: not the record of a run")
    if record["format"] != FORMAT:
        raise LabError(f"{file}: written in format {record['format']!r}; this version reads format {FORMAT}")
    for kind, names in _KINDS.items():
        for name in names:
            if (name in record or name in _NEEDED) and not _is(kind, record.get(name)):
                raise LabError(f"{file}: {name} must be {kind}, not {shown(record.get(name))}")
    return record


def has_first_settings(path: Path, record: dict[str, Any]) -> bool:
    """Return whether a run's `experiment.yaml` is, to the byte, the file of its start; False where the record has no digest."""
    digest = record.get("experiment_sha256")
    return digest is not None and digest == hashlib.sha256((path / EXPERIMENT).read_bytes()).hexdigest()


def _is(kind: str, value: Any) -> bool:
    if kind == "a number":
        return isinstance(value, (int, float)) and abs(value) <= _MOST
    return isinstance(value, str if kind == "a text" else dict)
