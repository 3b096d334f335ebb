"""Who works on a trial: whoever holds its lease, a locked file in the sweep's folder.

On one machine the kernel lets go of the lock at the moment in which a process ends, by whatever cause, and at no other: a trial
is free if and only if nobody works on it. Between machines that share the folder the lock is not trusted alone, since some file
systems keep locks to one machine: a lease that another host holds counts until its heartbeat has been silent for a while.
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
    """A trial's lease while this process holds it; its heartbeat goes on until it is given back, or the process ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._over = threading.Event()
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, socket.gethostname().encode(), 0)
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._heart.start()

    def give_back(self) -> None:
        """Let others have the trial at once."""
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
        """The lease of a trial, or None while somebody else holds it."""
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
        """Whether somebody works on a trial; nothing is written."""
        path = self.folder / f"{number:06d}"
        if is_locked(path):
            return True
        try:
            holder, silent = path.read_text(errors="replace"), time.time() - path.stat().st_mtime
        except OSError:
            return False
        return holder not in ("", socket.gethostname()) and silent < GRACE_SECONDS

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Inside, no other process of this machine is. A thousand that wait cost nothing, where a thousand that ask again and
        again would leave the storage no time for the one that makes a trial.
        """
        with readable_errors(self.folder):
            descriptor = os.open(self.folder / "turn", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def check(self) -> None:
        """Refuse a file system without locks, on which two workers would train the same run.

        Raises:
            LabError: Naming the folder.
        """
        path = self.folder / "check"
        with readable_errors(path), path.open("w") as one, path.open("w") as other:
            if try_lock(one.fileno()) and not try_lock(other.fileno()):
                return
        raise LabError(f"{self.folder}: its file system has no locks (flock), which workers need; choose another --out")

    def _beats_elsewhere(self, descriptor: int) -> bool:
        holder = os.pread(descriptor, 256, 0).decode(errors="replace")
        if holder in ("", socket.gethostname()):
            return False
        clock = self.folder / f"clock-{socket.gethostname()}-{os.getpid()}"
        clock.touch()  # both times are the file system's own
        silent = clock.stat().st_mtime - os.fstat(descriptor).st_mtime
        clock.unlink()
        return silent < GRACE_SECONDS
