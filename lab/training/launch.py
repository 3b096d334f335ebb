"""Check and describe the processes that train: this one, its children for further devices, or those of torchrun."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.utilities import rank_zero_only
from torch import distributed

from lab import processes
from lab.config import Experiment
from lab.errors import LabError
from lab.runs.isolation import isolated

_TASKS = {
    "SLURM_STEP_NUM_TASKS": "srun",
    "OMPI_COMM_WORLD_SIZE": "mpirun",
    "PMI_SIZE": "mpiexec",
    "JSM_NAMESPACE_SIZE": "jsrun",
}
"""Environment variables with the number of processes of another launcher, and the launcher."""


class OwnProcesses(LightningEnvironment):
    """Describe the processes of a run to Lightning, whatever environment variables say."""

    def __init__(self) -> None:
        super().__init__()
        if processes.by_torchrun() or processes.by_launcher():
            self._main_port = int(processes.started_with("MASTER_PORT"))

    @property
    def creates_processes_externally(self) -> bool:
        return processes.by_torchrun() or processes.by_launcher() or _world_size() > 1

    @property
    def main_address(self) -> str:
        return processes.started_with("MASTER_ADDR") if processes.by_torchrun() else "127.0.0.1"

    def local_rank(self) -> int:
        return processes.rank()

    def node_rank(self) -> int:
        return 0

    def validate_settings(self, num_devices: int, num_nodes: int) -> None:
        os.environ[processes.LAUNCHER] = str(os.getpid())  # for the children, which are started next

    def set_global_rank(self, rank: int) -> None:
        os.environ.pop(processes.LAUNCHER, None)  # the children have started
        super().set_global_rank(rank)

    def teardown(self) -> None:
        torch.set_default_dtype(torch.float32)


def check_launch(experiment: Experiment) -> None:
    """Reject a launch whose number of processes is not the experiment's number of devices.

    Raises:
        LabError: Naming the launcher and what is possible.
    """
    devices = experiment.devices
    if processes.is_orphan():
        raise LabError("the process that trains with this one has ended")
    if processes.by_torchrun():
        world, local = processes.started_with("WORLD_SIZE"), processes.started_with("LOCAL_WORLD_SIZE")
        if world != str(devices) or local != world:
            where = "" if local == world else " on several machines"
            raise LabError(f"devices must be {world}, the processes that torchrun started{where}, not {devices}")
        return
    if _world_size() not in (1, devices):
        if processes.rank() > 0:
            sys.exit(0)  # the main process raises
        raise LabError(f"devices must be {_world_size()}, as for the earlier run of this process, not {devices}")
    if devices == 1 or processes.rank() > 0 or _world_size() > 1:
        return
    for name, launcher in _TASKS.items():
        if os.environ.get(name, "1") not in ("", "1"):
            raise LabError(
                f"devices must be 1 in each of the {os.environ[name]} processes of {launcher}, not {devices}:"
                " start one process, which starts the others, or use torchrun"
            )
    import __main__

    if hasattr(sys, "ps1") or (getattr(__main__, "__spec__", None) is None and not Path(sys.argv[0]).is_file()):
        raise LabError(f"devices must be 1 in a notebook or a program without a file, not {devices}: use a script or lab train")


def lost_process(trainer: pl.Trainer) -> str | None:
    """Name a process of this run that has ended, if one ends within a second: its connection breaks a moment before it ends."""
    children = getattr(trainer.strategy.launcher, "procs", ()) if trainer.strategy.launcher is not None else ()
    until = time.monotonic() + 1.0
    while children or processes.by_launcher():
        if processes.is_orphan():
            return "the process that started this one"
        for number, child in enumerate(children, start=1):
            if child.poll() is not None:
                return f"process {number} of {len(children) + 1} (status {child.returncode})"
        if time.monotonic() > until:
            break
        time.sleep(0.05)
    return None


def _world_size() -> int:
    """Return the number of processes of the process group that an earlier run made; 1 without a group."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


@contextmanager
def isolated_training(experiment: Experiment) -> Iterator[None]:
    """Isolate training as `isolated` does, and set Lightning's rank to this process's."""
    before = getattr(rank_zero_only, "rank", 0)
    with isolated(experiment):
        setattr(rank_zero_only, "rank", processes.rank())  # noqa: B010
        try:
            yield
        finally:
            setattr(rank_zero_only, "rank", before)  # noqa: B010
