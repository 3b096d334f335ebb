"""File locks of the kernel: a lock is free if and only if no living process holds it.

The lock is the file system's. On one machine it is certain. NFS shares it between all machines unless it is mounted with
`local_lock`; another network file system may apply it to one machine only, or have no locks: there it has no effect.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from lab.errors import LabError
from lab.runs.files import readable_errors

LOCK = ".lock"
"""The file in a run's folder that the training process holds locked; a kill leaves it unlocked."""
_PATIENCE_SECONDS = 1.0
"""Seconds to wait for a reader's check, or for the end of a killed process."""


class Busy(LabError):
    """Another process trains a run."""


class Lock:
    """The lock of a run's folder while this process trains the run; it survives a copy or a rename of the folder."""

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Raises:
            Busy: If another process has it.
            LabError: If the system refuses.
        """
        with readable_errors(folder):
            self._folder = os.open(folder, os.O_RDONLY)  # so that a rename does not matter
        try:
            self._descriptor = self._take(folder)
        except BaseException:
            os.close(self._folder)
            raise

    def _take(self, folder: Path) -> int:
        until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            with readable_errors(folder / LOCK):
                descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o666, dir_fd=self._folder)
            with suppress(FileNotFoundError):  # the last holder has removed it in between
                if try_lock(descriptor) and os.path.samestat(os.fstat(descriptor), os.stat(LOCK, dir_fd=self._folder)):
                    return descriptor
            os.close(descriptor)
            if time.monotonic() > until:
                raise Busy(f"{folder}: another process trains this run")
            time.sleep(0.05)

    def release(self) -> None:
        """Release the lock and remove its file."""
        with suppress(OSError):
            os.unlink(LOCK, dir_fd=self._folder)
        os.close(self._descriptor)
        os.close(self._folder)


def try_lock(descriptor: int) -> bool:
    """Lock an open file; False while another process holds the lock. A system without locks always grants it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def is_locked(path: Path) -> bool:
    """Return whether a living process holds the lock of a file; nothing is written."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
