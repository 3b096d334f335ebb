"""Workers as processes of this machine, replaced when they are lost."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing.connection import wait
from pathlib import Path

import optuna
from optuna.trial import TrialState

from lab.errors import LabError
from lab.processes import SIGNALLED
from lab.sweeping.spec.configurations import run_names
from lab.sweeping.study.place import Job
from lab.sweeping.study.study import open_study
from lab.sweeping.workers.process import Process, process_starter
from lab.sweeping.workers.progress import SweepProgress
from lab.sweeping.workers.trials import Outcome, Update, finish

_OOM_KILLS = Path("/proc/vmstat")


def run_local(job: Job, count: int, gpus: tuple[int, ...], progress: SweepProgress) -> None:
    """Train the runs of a sweep with processes of this machine, and replace those that are lost.

    Args:
        job: The sweep.
        count: Number of processes.
        gpus: The GPUs that the processes share, in turn; none for the CPU.
        progress: Shows the updates of the workers.

    Raises:
        LabError: If a worker cannot go on.
        KeyboardInterrupt: After Ctrl-C, when all workers have saved their runs.
    """
    start = process_starter(job, gpus)
    alive = {number: start(number) for number in range(count)}
    kills = count_oom_kills()
    try:
        while alive:
            for worker in _ready(list(alive.values())):
                _show(worker, progress)
                if worker.process.exitcode is None:
                    continue
                _show(worker, progress)  # updates between the last look and the end
                del alive[worker.number]
                if worker.process.exitcode == 0 and not worker.error:
                    continue
                _check_loss(job, worker, kills, progress)
                kills = count_oom_kills()
                time.sleep(0.1)
                alive[worker.number] = start(worker.number)
    except BaseException:
        _stop(list(alive.values()))
        raise


def _check_loss(job: Job, worker: Process, kills_before: int, progress: SweepProgress) -> None:
    """Report the loss of a worker, and record its trial as failed if another worker would be lost in the same way.

    Raises:
        LabError: If no worker can go on.
    """
    code = worker.process.exitcode
    if worker.error:
        raise LabError(worker.error)
    if 0 < code <= SIGNALLED:
        raise LabError(f"a worker ended with status {code}; its error is printed above")
    number = -code if code < 0 else code - SIGNALLED  # in the latter case it has saved its run
    cause = loss_cause(number, kills_before)
    if cause and worker.trial < 0:
        raise LabError(f"a worker cannot begin: {cause}")
    if cause:
        _record_failure(job, worker.trial, cause, progress)
    how = "lost" if code < 0 else "stopped"
    progress.note(f"worker {worker.number} was {how} ({signal.Signals(number).name}); another one takes its place")


def _ready(workers: list[Process]) -> list[Process]:
    """Return workers that have sent an update or have ended; wait for a second at most."""
    waited = wait([*(worker.updates for worker in workers), *(worker.process.sentinel for worker in workers)], timeout=1.0)
    return [worker for worker in workers if worker.updates in waited or worker.process.sentinel in waited]


def _show(worker: Process, progress: SweepProgress) -> None:
    for update in worker.receive():
        progress.update(update)


def count_oom_kills() -> int:
    """Return how many processes the kernel has killed for lack of memory; 0 where it does not count them."""
    try:
        lines = _OOM_KILLS.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def loss_cause(number: int, kills_before: int) -> str:
    """Return why a signal would end the same run again; empty if another program sent it.

    Args:
        number: The signal.
        kills_before: The kernel's count of kills for lack of memory before.
    """
    if number == signal.SIGKILL and count_oom_kills() > kills_before:
        return "out of memory: the kernel killed its worker"
    if number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE):
        return f"its worker crashed ({signal.Signals(number).name})"
    return ""


def _record_failure(job: Job, number: int, cause: str, progress: SweepProgress) -> None:
    """Record a trial as failed, unless another worker has it already."""
    lease = job.place.leases.take(number)
    if lease is None:
        return
    study = open_study(job)
    frozen = study.get_trials(deepcopy=False)[number]
    if frozen.state is TrialState.RUNNING:
        finish(job, study, optuna.Trial(study, frozen._trial_id), Outcome(TrialState.FAIL, cause))
        progress.update(Update(number, run_names(job.sweep, number, frozen.params)[0], text=cause, ended=TrialState.FAIL))
    lease.release()


def _stop(workers: list[Process]) -> None:
    """Ask workers to save and end; a second Ctrl-C kills them, after which they resume as well."""
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
