"""Leases: a worker owns a trial while it holds the trial's lease, a locked file in the sweep's folder.

On one machine the kernel releases the lock exactly when the holder's process ends, by whatever cause: a trial is free if and
only if no process works on it. Some file systems keep locks to one machine. Therefore a lease of another host also counts until
its heartbeat has been silent for `GRACE_SECONDS`.
"""

from __future__ import annotations

import fcntl
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.errors import LabError
from lab.runs.files import readable_errors
from lab.runs.lock import is_locked, try_lock

BEAT_SECONDS, GRACE_SECONDS = 10.0, 60.0


class Lease:
    """A trial's lease that this process holds; its heartbeat ends with its release, or with the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._over = threading.Event()
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, socket.gethostname().encode(), 0)
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._heart.start()

    def release(self) -> None:
        """Let others take the trial immediately."""
        self._over.set()
        self._heart.join()
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            os.utime(self._descriptor)


class Leases:
    """The leases of a sweep's trials.

    Attributes:
        folder: Where their files are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def take(self, number: int) -> Lease | None:
        """Take the lease of a trial; None while another process holds it."""
        with readable_errors(self.folder):
            descriptor = os.open(self.folder / f"{number:06d}", os.O_RDWR | os.O_CREAT, 0o666)
            try:
                free = try_lock(descriptor) and not self._beats_elsewhere(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            if not free:
                os.close(descriptor)
                return None
            return Lease(descriptor)

    def is_taken(self, number: int) -> bool:
        """Check whether a process works on a trial, without writing anything."""
        path = self.folder / f"{number:06d}"
        if is_locked(path):
            return True
        try:
            holder, silent = path.read_text(errors="replace"), time.time() - path.stat().st_mtime
        except OSError:
            return False
        return holder not in ("", socket.gethostname()) and silent < GRACE_SECONDS

    @contextmanager
    def creation_lock(self) -> Iterator[None]:
        """Let one process of this machine at a time create a trial.

        A thousand processes that wait here cost nothing; a thousand that poll would leave the storage no time for the one that
        creates a trial.
        """
        with readable_errors(self.folder):
            descriptor = os.open(self.folder / "turn", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def check(self) -> None:
        """Check that the file system has locks; without them two workers could train the same run.

        Raises:
            LabError: If it has none.
        """
        path = self.folder / "check"
        with readable_errors(path), path.open("w") as one, path.open("w") as other:
            if try_lock(one.fileno()) and not try_lock(other.fileno()):
                return
        raise LabError(f"{self.folder}: its file system has no locks (flock), which workers need")

    def _beats_elsewhere(self, descriptor: int) -> bool:
        holder = os.pread(descriptor, 256, 0).decode(errors="replace")
        if holder in ("", socket.gethostname()):
            return False
        clock = self.folder / f"clock-{socket.gethostname()}-{os.getpid()}"
        clock.touch()  # compare two times of the file system's clock
        silent = clock.stat().st_mtime - os.fstat(descriptor).st_mtime
        clock.unlink()
        return silent < GRACE_SECONDS
