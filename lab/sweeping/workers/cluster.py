"""The same workers on Ray: an existing cluster, or one that is started on this machine.

Each worker is a Ray task that does trials until none is left. Ray starts it again, on whatever node has room, when its process
or its node is lost; the lease of the trial that it had is free then, and the next worker goes on from the run's checkpoint. All
nodes must see the sweep's folder, and the storage.
"""

from __future__ import annotations

import logging
import signal
import socket
import sys
from dataclasses import replace
from typing import Any

from optuna.trial import FrozenTrial

from lab.errors import Interrupted, LabError
from lab.processes import SIGNALLED
from lab.sweeping.spec.configurations import trial_names
from lab.sweeping.study.study import ERROR, Job, open_study
from lab.sweeping.workers.follow import Follow
from lab.sweeping.workers.trials import Update, values_text

_LOOK_SECONDS = 1.0


def run_on_ray(
    job: Job, workers: int | None, threads: int, per_device: int, uses_gpus: bool, address: str | None, follow: Follow
) -> None:
    """Do a job on Ray.

    Args:
        job: What to do.
        workers: Tasks at a time; by default as many as the cluster has room for.
        threads: CPUs of each.
        per_device: Workers that share a GPU.
        uses_gpus: Whether each needs a GPU, or its share of one, where the cluster has any.
        address: Of a cluster, as `auto` or `ray://host:10001`; None for one on this machine.
        follow: What to tell.

    Raises:
        LabError: If Ray is not installed, does not answer, or a worker cannot go on.
        KeyboardInterrupt: After Ctrl-C, when all workers have saved their runs.
    """
    ray = _connected(address)
    there = ray.cluster_resources()
    gpus = there.get("GPU", 0) if uses_gpus else 0
    needs: dict[str, float] = {"num_cpus": threads} | ({"num_gpus": 1 / per_device} if gpus else {})
    room = int(gpus * per_device if gpus else there.get("CPU", 1) // threads)
    place = replace(job.place, runs=job.place.runs.resolve(), books=job.place.books.resolve())
    task = ray.remote(**needs, max_retries=-1, retry_exceptions=False)(_work)
    left = [task.remote(replace(job, place=place)) for _ in range(workers or max(1, room))]
    news = News(job)
    try:
        while left:
            ended, left = ray.wait(left, timeout=_LOOK_SECONDS)
            news.tell(follow)
            for each in ended:
                _result(ray, each)
    except BaseException:
        for each in left:
            ray.cancel(each)  # as Ctrl-C does in a terminal
        ray.wait(left, num_returns=len(left), timeout=60) if left else None
        raise


class News:
    """Tells what has become of a study's trials since the last look: workers elsewhere have no pipe to this process."""

    def __init__(self, job: Job) -> None:
        self._job, self._study = job, open_study(job)
        self._known = {trial.number for trial in self._trials() if trial.state.is_finished()}

    def tell(self, follow: Follow) -> None:
        """Tell of the trials that have ended."""
        sweep = self._job.sweep
        for trial in self._trials():
            if trial.state.is_finished() and trial.number not in self._known:
                self._known.add(trial.number)
                name = trial_names(sweep, trial.number, trial.params)[0]
                text = trial.user_attrs.get(ERROR) or (values_text(sweep, trial.values) if trial.values else "")
                follow(Update(trial.number, name, text=text, ended=trial.state))

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)


def _connected(address: str | None) -> Any:
    try:
        import ray
    except ImportError as error:
        raise LabError("Ray is not installed: pip install 'mtp-lab[cluster]'") from error
    if not ray.is_initialized():
        try:
            _answers(address)
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError, RuntimeError) as error:
            raise LabError(f"Ray at {address or 'this machine'} does not answer: {str(error).splitlines()[0]}") from error
    return ray


def _answers(address: str | None) -> None:
    """Refuse a host that does not answer at once; Ray would try for minutes."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def _work(job: Job) -> None:
    """A worker, in a process of Ray's."""
    import torch

    from lab.sweeping.workers.worker import work

    torch.set_num_threads(1)
    try:
        work(job, lambda _: None)
    except Interrupted as error:
        if error.number == signal.SIGINT:
            raise  # Ray cancels the task
        sys.exit(SIGNALLED + error.number)  # the node ends: Ray starts the worker again elsewhere


def _result(ray: Any, task: Any) -> None:
    try:
        ray.get(task)
    except ray.exceptions.TaskCancelledError:
        raise KeyboardInterrupt from None
    except ray.exceptions.RayTaskError as error:
        cause = error.as_instanceof_cause()
        raise LabError(str(error.cause)) if isinstance(error.cause, LabError) else cause from error
