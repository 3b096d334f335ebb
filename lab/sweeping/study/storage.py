"""The storage of a study: a journal beside the runs, or a PostgreSQL database."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock

from lab.errors import LabError
from lab.runs.files import readable_errors

SCHEME, DRIVER = "postgresql://", "postgresql+psycopg://"


class StorageLost(LabError):
    """The storage rejects a call or does not answer; all runs are saved, and the sweep can be started again."""


class Journal(JournalFileBackend):
    """Optuna's journal in a file that is opened for writing by writers alone, so that a reader needs no right to write.

    Optuna's own creates the file when it is read, and passes over a damaged line until another follows.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file_path, self._lock = str(path), JournalLock(path)
        self._offsets = [0]  # where each line begins

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """The entries from a number on; a last line that is not whole is still being written, or a kill cut it short.

        Raises:
            StorageLost: Naming the file and the line that is no entry.
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
    """The journal's lock, which the kernel lets go when its holder is killed; Optuna's own would block all others for 30 s.

    Whoever gets it mends the journal first: a line that a full disk or a lost machine cut short would make it unreadable as
    soon as another one follows.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._descriptor = -1

    def acquire(self) -> bool:
        self._descriptor = os.open(self._journal.with_name(self._journal.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        mend(self._journal)
        return True

    def release(self) -> None:
        os.close(self._descriptor)


def mend(journal: Path) -> None:
    """Drop a last line that is not whole."""
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


def open_storage(url: str | None, journal: Path) -> BaseStorage:
    """Open a storage.

    Args:
        url: `postgresql://...`; None for the journal.
        journal: The journal's file, which exists.

    Raises:
        LabError: If the URL names another kind of storage, the driver is not installed, the server does not answer, or the
            journal cannot be read or is damaged.
    """
    if url is None:
        with storage_calls(str(journal)):
            return JournalStorage(Journal(journal))
    check_url(url)
    with _unreachable(url):
        from sqlalchemy.pool import NullPool

        # Without a pool a worker holds no connection while it trains: a server's 100 are enough for a thousand workers.
        return optuna.storages.RDBStorage(DRIVER + url.removeprefix(SCHEME), engine_kwargs={"poolclass": NullPool})


def check_url(url: str) -> None:
    """Reject the URL of another kind of storage.

    Raises:
        LabError: Naming it.
    """
    if not url.startswith(SCHEME):
        raise LabError(f"storage must be {SCHEME}..., not {shown(url)!r}")


def shown(url: str) -> str:
    """A URL without its password."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", url)


@contextmanager
def _unreachable(url: str) -> Iterator[None]:
    try:
        yield
    except LabError:
        raise
    except ImportError as error:
        raise LabError(f"storage {shown(url)} needs a driver: pip install 'mtp-lab[storage]'") from error
    except Exception as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()
        raise StorageLost(f"storage {shown(url)} cannot be reached: {reason[0] if reason else type(error).__name__}") from error


@contextmanager
def storage_calls(storage: str = "the storage") -> Iterator[None]:
    """Around calls of a storage alone: what goes wrong in them is the storage's fault, not the run's. Optuna logs errors only.

    Args:
        storage: Its name in the message.

    Raises:
        StorageLost: For any error inside.
    """
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    except (LabError, optuna.TrialPruned):
        raise
    except Exception as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()
        raise StorageLost(f"{storage} fails ({type(error).__name__}: {reason[0] if reason else 'no reason given'})") from error
    finally:
        optuna.logging.set_verbosity(level)
