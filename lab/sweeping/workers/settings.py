"""The workers that a user asks for, and what the runs of a sweep demand of a machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lab.config import Experiment
from lab.errors import LabError, check_count


@dataclass(frozen=True)
class Workers:
    """The processes that train the runs of a sweep.

    Attributes:
        count: Number of concurrent runs; None for as many as there is room for.
        engine: `local` for processes of this machine, `ray` for tasks of a Ray cluster.
        address: Address of the cluster, as `auto` or `ray://host:10001`; None to start one on this machine.
        per_device: Number of workers that share a GPU.
    """

    count: int | None = None
    engine: Literal["local", "ray"] = "local"
    address: str | None = None
    per_device: int = 1

    def __post_init__(self) -> None:
        for name, value in (("workers", self.count), ("per_device", self.per_device)):
            if value is not None:
                check_count(name, value)
        if self.engine not in ("local", "ray"):
            raise LabError(f"engine must be one of local, ray, not {self.engine!r}")
        if self.address is not None and self.engine != "ray":
            raise LabError("address is for the engine ray")

    def count_here(self, demand: Demand) -> int:
        """Return the number of workers on this machine: by default `per_device` for each GPU, else cores by threads."""
        if self.count is not None:
            return self.count
        if demand.gpus:
            return len(demand.gpus) * self.per_device
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, cores // demand.threads)


@dataclass(frozen=True)
class Demand:
    """What the runs of a sweep demand of a machine.

    Attributes:
        threads: CPU threads of the most demanding run.
        uses_gpus: Whether the runs use GPUs where there are any.
        gpus: The GPUs of this machine that they use.
    """

    threads: int
    uses_gpus: bool
    gpus: tuple[int, ...] = ()


def measure_demand(experiments: Sequence[Experiment]) -> Demand:
    """Return what experiments demand of this machine."""
    uses_gpus = {experiment.accelerator for experiment in experiments} != {"cpu"}
    return Demand(max(experiment.threads for experiment in experiments), uses_gpus, _find_gpus() if uses_gpus else ())


def _find_gpus() -> tuple[int, ...]:
    if shutil.which("nvidia-smi") is None:
        return ()
    import torch

    return tuple(range(torch.cuda.device_count()))
