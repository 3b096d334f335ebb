"""The journal of a study: Optuna's log in one file, safe against kills, full disks and read-only folders."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock

from lab.errors import LabError
from lab.runs.files import readable_errors


class StorageLost(LabError):
    """The storage rejects a call or does not answer; all runs are saved, and the sweep can be started again."""


class Journal(JournalFileBackend):
    """Optuna's journal in a file that readers open for reading only.

    Optuna's own backend creates the file when it is read, and ignores a damaged line until another one follows.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file_path, self._lock = str(path), JournalLock(path)
        self._offsets = [0]  # of each line's first byte

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Yield the entries from a number on. An incomplete last line is skipped: a writer is at work, or a kill cut it short.

        Raises:
            StorageLost: Naming the file and the line that is not an entry.
        """
        number = min(log_number_from, len(self._offsets) - 1)
        with readable_errors(self._path), self._path.open("rb") as file:
            file.seek(self._offsets[number])
            for line in file:
                if not line.endswith(b"\n"):
                    return
                if number + 1 == len(self._offsets):
                    self._offsets.append(self._offsets[number] + len(line))
                number += 1
                if number > log_number_from:
                    yield self._entry(line, number)

    def _entry(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if not isinstance(entry, dict) or not {"op_code", "worker_id"} <= entry.keys():
            raise StorageLost(f"{self._path}, line {number}: damaged: not an entry of a journal")
        return entry


class JournalLock(BaseJournalFileLock):
    """The journal's lock, which the kernel releases when its holder is killed; Optuna's own would block all others for 30 s.

    The new holder first removes an incomplete last line: if another line followed it, the journal would be unreadable.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._descriptor = -1

    def acquire(self) -> bool:
        self._descriptor = os.open(self._journal.with_name(self._journal.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        drop_incomplete_line(self._journal)
        return True

    def release(self) -> None:
        os.close(self._descriptor)


def drop_incomplete_line(journal: Path) -> None:
    """Remove a last line that does not end in a newline."""
    with journal.open("rb+") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end:
            begin = max(0, end - 65_536)
            file.seek(begin)
            newline = file.read(end - begin).rfind(b"\n")
            if newline >= 0:
                end = begin + newline + 1
                break
            end = begin
        if end < size:
            file.truncate(end)
