"""Workers as processes of this machine: one thread set and one device each, started again when they are lost."""

from __future__ import annotations

import multiprocessing as mp
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import ModuleType
from typing import Any

import optuna
from optuna.trial import TrialState

from lab.errors import Interrupted, LabError
from lab.processes import SIGNALLED, SIGNALS, end, signal_of
from lab.sweeping.spec.configurations import trial_names
from lab.sweeping.study.study import Job, open_study
from lab.sweeping.workers.follow import Follow
from lab.sweeping.workers.trials import Update, finish

_THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""A worker's libraries start no threads of their own; the experiment says how many its training has."""
_LONGEST_TEMPORARY = 60
"""Bytes of a temporary folder's path: a socket's has 107, of which its name in it takes up to 40."""
_OOM_KILLS = Path("/proc/vmstat")


@dataclass
class Process:
    """A worker's process, as its parent sees it."""

    number: int
    process: Any
    updates: Connection
    trial: int = -1
    error: str = ""


def run_local(job: Job, workers: int, devices: list[int], follow: Follow) -> None:
    """Do a job with some processes, and start those again that are lost.

    Args:
        job: What to do.
        workers: Processes at a time.
        devices: The GPUs that the workers share, in turn; none for the CPU.
        follow: What to tell.

    Raises:
        LabError: If a worker cannot go on.
        KeyboardInterrupt: After Ctrl-C, when all workers have saved their runs.
    """
    start = _starter(job, devices)
    alive = {number: start(number) for number in range(workers)}
    killed = oom_kills()
    try:
        while alive:
            for worker in _ready(list(alive.values())):
                _drain(worker, follow)
                if worker.process.exitcode is None:
                    continue
                _drain(worker, follow)  # what it said between the last look and its end
                del alive[worker.number]
                if worker.error:
                    raise LabError(worker.error)
                code = worker.process.exitcode
                if code == 0:
                    continue
                if 0 < code <= SIGNALLED:
                    raise LabError(f"a worker ended with status {code}; its last words stand above")
                number = -code if code < 0 else code - SIGNALLED  # in the latter case it has saved its run
                cause = _cause(number, killed)
                killed = oom_kills()
                if cause and worker.trial < 0:
                    raise LabError(f"a worker cannot begin: {cause}")
                if cause:
                    _record(job, worker.trial, cause, follow)
                how = "lost" if code < 0 else "stopped"
                follow.note(f"worker {worker.number} was {how} ({signal.Signals(number).name}); another one takes its place")
                time.sleep(0.1)
                alive[worker.number] = start(worker.number)
    except BaseException:
        _stop(list(alive.values()))
        raise


def default_workers(threads: int, devices: list[int], per_device: int) -> int:
    """As many as there is room for: `per_device` for each GPU, else the cores that this process may use by `threads`."""
    if devices:
        return len(devices) * per_device
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // threads)


def gpus(accelerator: str) -> list[int]:
    """The GPUs of this machine that experiments with this accelerator would use."""
    if accelerator == "cpu" or shutil.which("nvidia-smi") is None:
        return []
    import torch

    return list(range(torch.cuda.device_count()))


def _starter(job: Job, devices: list[int]) -> Any:
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(["lab.sweeping.workers.worker"])  # torch and Lightning are imported once for all workers
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        forkserver.ensure_running()  # with the signals blocked: it must outlive the workers, which report their end to it
    except OSError as error:
        raise LabError(f"TMPDIR: {tempfile.gettempdir()}: workers cannot be started from there ({error})") from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    own_task = "__main__:" in job.sweep.model_dump_json()  # defined by the script itself

    def start(number: int) -> Process:
        receiver, sender = context.Pipe(duplex=False)
        device = devices[number % len(devices)] if devices else None
        process = context.Process(target=_main, args=(job, sender, device), name=f"worker-{number}")
        with environment(_THREADS), short_temporary_folder(), nullcontext() if own_task else empty_main():
            process.start()
        sender.close()
        return Process(number, process, receiver)

    return start


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Environment variables inside."""
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
    more, and it would not find one that came from standard input.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def short_temporary_folder() -> Iterator[None]:
    """Inside, temporary files lie in /tmp if the path of the usual folder is too long for a socket of the fork server."""
    usual = tempfile.tempdir
    if len(os.fsencode(tempfile.gettempdir())) > _LONGEST_TEMPORARY and os.access("/tmp", os.W_OK):
        tempfile.tempdir = "/tmp"
    try:
        yield
    finally:
        tempfile.tempdir = usual


def _main(job: Job, sender: Connection, device: int | None) -> None:
    """A worker's process. Ctrl-C in a terminal is for the parent, which asks each worker once to stop."""
    try:
        os.setpgrp()
        for number in SIGNALS:
            signal.signal(number, end)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        threading.Thread(target=_follow_parent, daemon=True).start()
        if device is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = str(device)
        _work(job, sender)
    except KeyboardInterrupt as error:
        sys.exit(SIGNALLED + signal_of(error))


def _work(job: Job, sender: Connection) -> None:
    import torch

    from lab.sweeping.workers.worker import work

    torch.set_num_threads(1)

    def tell(update: Update | str) -> None:
        try:
            sender.send(update)
        except BrokenPipeError:
            return  # the parent is gone: `_follow_parent` stops this run

    try:
        work(job, tell)
    except Interrupted as error:
        sys.exit(SIGNALLED + error.number)
    except LabError as error:
        tell(str(error))
        sys.exit(1)


def _follow_parent() -> None:
    """End as after Ctrl-C when the parent is gone, by whatever cause."""
    parent = mp.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGINT)


def _ready(workers: list[Process]) -> list[Process]:
    """Workers that have something to tell or have ended; waits a second at most."""
    waited = wait([*(worker.updates for worker in workers), *(worker.process.sentinel for worker in workers)], timeout=1.0)
    return [worker for worker in workers if worker.updates in waited or worker.process.sentinel in waited]


def _drain(worker: Process, follow: Follow) -> None:
    try:
        while worker.updates.poll():
            update = worker.updates.recv()
            if isinstance(update, str):
                worker.error = update
                continue
            worker.trial = update.trial if update.ended is None else -1
            follow(update)
    except (EOFError, OSError):
        worker.process.join()


def oom_kills() -> int:
    """How many processes the kernel has killed on this machine because memory had run out; 0 where it does not say."""
    try:
        lines = _OOM_KILLS.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def _cause(number: int, kills_before: int) -> str:
    """Why a signal would end this run again; empty if somebody else sent it."""
    if number == signal.SIGKILL and oom_kills() > kills_before:
        return "out of memory: the kernel killed its worker"
    if number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE):
        return f"its worker crashed ({signal.Signals(number).name})"
    return ""


def _record(job: Job, number: int, cause: str, follow: Follow) -> None:
    """Record a trial as failed, unless another worker has it already."""
    lease = job.place.leases.take(number)
    if lease is None:
        return
    study = open_study(job)
    frozen = study.get_trials(deepcopy=False)[number]
    if frozen.state is TrialState.RUNNING:
        names = trial_names(job.sweep, number, frozen.params)
        finish(job, study, optuna.Trial(study, frozen._trial_id), TrialState.FAIL, cause, None, names)
        follow(Update(number, names[0], text=cause, ended=TrialState.FAIL))
    lease.give_back()


def _stop(workers: list[Process]) -> None:
    """Ask workers to save and end; a second Ctrl-C kills them, from which they resume as well."""
    for worker in workers:
        if worker.process.is_alive():
            os.kill(worker.process.pid, signal.SIGINT)
    try:
        for worker in workers:
            worker.process.join()
    except KeyboardInterrupt:
        for worker in workers:
            worker.process.kill()
        raise
