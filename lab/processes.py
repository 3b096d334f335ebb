"""This process: the signals that end it, and its place among the processes that train one run.

Only this laboratory (several devices) and torchrun start processes for a run. RANK, LOCAL_RANK, Slurm's variables and the like
alone do not make this process part of one.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from lab.errors import Interrupted

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C, the end of a batch job, the end of a terminal."""
SIGNALLED = 128
"""The exit status of a process that a signal ended is above this by the signal's number."""
LAUNCHER = "MTP_LAB_LAUNCHER"
"""Environment variable with the process id of the one that starts others for its devices."""
_VARIABLES = (
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK"),
    *("MASTER_ADDR", "MASTER_PORT", "STANDALONE_PORT", "SLURM_NTASKS", "SLURM_PROCID", "JSM_NAMESPACE_RANK"),
)
"""Environment variables from which Lightning would conclude that this process is part of a job."""

_launcher = os.environ.pop(LAUNCHER, None)  # removed: programs that this process starts are not part of the run
_started = {name: os.environ.get(name, "") for name in _VARIABLES}
_by_torchrun = "TORCHELASTIC_RUN_ID" in os.environ and _started["WORLD_SIZE"] not in ("", "1")


class Ended(KeyboardInterrupt):
    """A signal asks this process to end while there is nothing to save.

    Attributes:
        number: The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def end(number: int, _: FrameType | None) -> None:
    """Handle a signal by ending the work of the process.

    Raises:
        Ended: Always.
    """
    raise Ended(number)


def signal_of(error: KeyboardInterrupt) -> int:
    """Return the signal that caused a KeyboardInterrupt."""
    return error.number if isinstance(error, Ended) else signal.SIGINT


@contextmanager
def handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle the signals that end a process by a function inside, as before afterwards.

    Signals that are ignored stay so (nohup). Outside of the main thread, which alone can handle signals, nothing is changed.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):  # None: a handler that Python could not restore
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, usual in before.items():
            signal.signal(number, usual)


@contextmanager
def resumable(sentence: str) -> Iterator[None]:
    """Turn a signal inside into one line that says how to resume.

    Raises:
        Interrupted: With this sentence.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(sentence, signal_of(error)) from None


def in_notebook() -> bool:
    """Return whether a notebook's kernel runs this process."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def by_torchrun() -> bool:
    """Return whether torchrun started this process as one of several of a run."""
    return _by_torchrun


def by_launcher() -> bool:
    """Return whether this laboratory started this process as one of several of a run."""
    return _launcher is not None


def is_orphan() -> bool:
    """Return whether the process of the run that started this one has ended."""
    return by_launcher() and str(os.getppid()) != _launcher


def rank() -> int:
    """Return the number of this process among those that train one run; process 0 writes the run's folder."""
    number = started_with("RANK") if by_torchrun() else started_with("LOCAL_RANK") if by_launcher() else "0"
    return int(number) if number.isdecimal() else 0


def started_with(name: str) -> str:
    """Return an environment variable of a launcher as it was when the process began; empty if there was none."""
    return _started[name]


@contextmanager
def own_environment() -> Iterator[None]:
    """Remove the environment variables that Lightning obeys inside, and restore all variables afterwards."""
    before = dict(os.environ)
    for name in before:
        if name in _VARIABLES or name.startswith("PL_"):
            del os.environ[name]
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
