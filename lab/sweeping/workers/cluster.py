"""Workers as tasks of Ray, on an existing cluster or on one that is started on this machine.

Each worker is a Ray task that trains trials until none is left. When its process or its node is lost, Ray starts it again on a
node that has room; the lease of its trial is free then, and the next worker resumes the run. All nodes must share the sweep's
folder and reach the storage.
"""

from __future__ import annotations

import logging
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from optuna.trial import FrozenTrial

from lab.errors import Interrupted, LabError
from lab.processes import SIGNALLED
from lab.sweeping.spec.configurations import run_names
from lab.sweeping.study.place import Job
from lab.sweeping.study.study import ERROR, open_study
from lab.sweeping.workers.progress import SweepProgress
from lab.sweeping.workers.settings import Demand, Workers
from lab.sweeping.workers.trials import Update, values_text

_POLL_SECONDS = 1.0


def run_on_ray(job: Job, workers: Workers, demand: Demand, progress: SweepProgress) -> None:
    """Train the runs of a sweep on Ray.

    Args:
        job: The sweep.
        workers: The workers; by default as many as the cluster has room for.
        demand: The CPUs of each worker, and whether it needs its share of a GPU where the cluster has any.
        progress: Shows the trials that have ended.

    Raises:
        LabError: If Ray is not installed or does not answer, or a worker cannot go on.
        KeyboardInterrupt: After Ctrl-C, when all workers have saved their runs.
    """
    ray = _connect(workers.address)
    resources = ray.cluster_resources()
    gpus = resources.get("GPU", 0) if demand.uses_gpus else 0
    needs: dict[str, float] = {"num_cpus": demand.threads} | ({"num_gpus": 1 / workers.per_device} if gpus else {})
    room = int(gpus * workers.per_device if gpus else resources.get("CPU", 1) // demand.threads)
    place = replace(job.place, runs=job.place.runs.resolve(), state_dir=job.place.state_dir.resolve())
    task = ray.remote(**needs, max_retries=-1, retry_exceptions=False)(_work)
    left = [task.remote(replace(job, place=place)) for _ in range(workers.count or max(1, room))]
    poller = StudyPoller(job)
    try:
        while left:
            ended, left = ray.wait(left, timeout=_POLL_SECONDS)
            for update in poller.poll():
                progress.update(update)
            for each in ended:
                _check_result(ray, each)
    except BaseException:
        for each in left:
            ray.cancel(each)  # as Ctrl-C does in a terminal
        ray.wait(left, num_returns=len(left), timeout=60) if left else None
        raise


class StudyPoller:
    """Finds trials that have ended since the last look, since workers of other machines have no pipe to this process."""

    def __init__(self, job: Job) -> None:
        self._job, self._study = job, open_study(job)
        self._ended = {trial.number for trial in self._trials() if trial.state.is_finished()}

    def poll(self) -> Iterator[Update]:
        """Yield an update for each trial that has ended."""
        sweep = self._job.sweep
        for trial in self._trials():
            if trial.state.is_finished() and trial.number not in self._ended:
                self._ended.add(trial.number)
                name = run_names(sweep, trial.number, trial.params)[0]
                text = trial.user_attrs.get(ERROR) or (values_text(sweep, trial.values) if trial.values else "")
                yield Update(trial.number, name, text=text, ended=trial.state)

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)


def _connect(address: str | None) -> Any:
    try:
        import ray
    except ImportError as error:
        raise LabError("Ray is not installed: pip install 'mtp-lab[cluster]'") from error
    if not ray.is_initialized():
        try:
            _check_address(address)
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError, RuntimeError) as error:
            raise LabError(f"Ray at {address or 'this machine'} does not answer: {str(error).splitlines()[0]}") from error
    return ray


def _check_address(address: str | None) -> None:
    """Check that a host answers; Ray would try for minutes."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def _work(job: Job) -> None:
    """Run a worker in a process of Ray."""
    import torch

    from lab.sweeping.workers.worker import work

    torch.set_num_threads(1)
    try:
        work(job, lambda _: None)
    except Interrupted as error:
        if error.number == signal.SIGINT:
            raise  # Ray cancels the task
        sys.exit(SIGNALLED + error.number)  # the node ends: Ray starts the worker again elsewhere


def _check_result(ray: Any, task: Any) -> None:
    try:
        ray.get(task)
    except ray.exceptions.TaskCancelledError:
        raise KeyboardInterrupt from None
    except ray.exceptions.RayTaskError as error:
        cause = error.as_instanceof_cause()
        raise LabError(str(error.cause)) if isinstance(error.cause, LabError) else cause from error
