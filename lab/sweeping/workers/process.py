"""A worker as a process of this machine: one set of threads and one device, forked from a server that has torch loaded."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

from lab.errors import Interrupted, LabError
from lab.processes import SIGNALLED, SIGNALS, end, signal_of
from lab.sweeping.study.place import Job
from lab.sweeping.workers.trials import Update

_THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""A worker's libraries start no threads of their own; the experiment sets the number for its training."""
_LONGEST_TEMPORARY = 60
"""Bytes of a temporary folder's path: a socket's has 107, of which its name in the folder takes up to 40."""


@dataclass
class Process:
    """A worker's process, as its parent sees it."""

    number: int
    process: Any
    updates: Connection
    trial: int = -1
    error: str = ""

    def receive(self) -> Iterator[Update]:
        """Yield the updates that have arrived, and note the trial that the worker has and its error."""
        try:
            while self.updates.poll():
                update = self.updates.recv()
                if isinstance(update, str):
                    self.error = update
                    continue
                self.trial = update.trial if update.ended is None else -1
                yield update
        except (EOFError, OSError):
            self.process.join()


def process_starter(job: Job, gpus: tuple[int, ...]) -> Callable[[int], Process]:
    """Return a function that starts the worker of a number, with the GPUs shared in turn."""
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(["lab.sweeping.workers.worker"])  # imports torch and Lightning once for all workers
    resource_tracker.ensure_running()  # here: it unblocks the signals that are blocked below
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        forkserver.ensure_running()  # with the signals blocked: it must outlive the workers, whose end it reports
    except OSError as error:
        raise LabError(f"TMPDIR: {tempfile.gettempdir()}: workers cannot be started from there ({error})") from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    own_task = "__main__:" in job.sweep.model_dump_json()  # defined by the script itself

    def start(number: int) -> Process:
        receiver, sender = context.Pipe(duplex=False)
        gpu = gpus[number % len(gpus)] if gpus else None
        process = context.Process(target=_main, args=(job, sender, gpu), name=f"worker-{number}")
        with environment(_THREADS), short_temporary_folder(), nullcontext() if own_task else empty_main():
            process.start()
        sender.close()
        return Process(number, process, receiver)

    return start


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables inside."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def empty_main() -> Iterator[None]:
    """Replace `__main__` by an empty module inside.

    A worker needs nothing of the script that started the sweep. It would run a script without `if __name__ == "__main__"` once
    more, and could not find one that came from standard input.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def short_temporary_folder() -> Iterator[None]:
    """Put temporary files in /tmp inside if the path of the usual folder is too long for a socket of the fork server."""
    usual = tempfile.tempdir
    if len(os.fsencode(tempfile.gettempdir())) > _LONGEST_TEMPORARY and os.access("/tmp", os.W_OK):
        tempfile.tempdir = "/tmp"
    try:
        yield
    finally:
        tempfile.tempdir = usual


def _main(job: Job, sender: Connection, gpu: int | None) -> None:
    """Run a worker. Ctrl-C in a terminal goes to the parent, which asks each worker once to stop."""
    try:
        os.setpgrp()
        for number in SIGNALS:
            signal.signal(number, end)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        threading.Thread(target=_end_with_parent, daemon=True).start()
        if gpu is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = str(gpu)
        _work(job, sender)
    except KeyboardInterrupt as error:
        sys.exit(SIGNALLED + signal_of(error))


def _work(job: Job, sender: Connection) -> None:
    import torch

    from lab.sweeping.workers.worker import work

    torch.set_num_threads(1)

    def send(update: Update | str) -> None:
        try:
            sender.send(update)
        except BrokenPipeError:
            return  # the parent is gone: `_end_with_parent` stops this run

    try:
        work(job, send)
    except Interrupted as error:
        sys.exit(SIGNALLED + error.number)
    except LabError as error:
        send(str(error))
        sys.exit(1)


def _end_with_parent() -> None:
    """End as after Ctrl-C when the parent is gone, by whatever cause."""
    parent = mp.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGINT)
