"""Tiny sweeps, done in this process or in a forked one."""

import multiprocessing as mp
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lab.sweeping.engine import prepare
from lab.sweeping.study import Job, set_up
from lab.sweeping.trials import Update
from lab.sweeping.worker import work

BASE: dict[str, Any] = {
    "task": "induction", "task.vocabulary": 12, "task.period": [3, 5], "task.length": 12, "task.test_period": [6, 6],
    "model.width": 8, "model.layers": 4, "model.n_heads": 2, "steps": 12, "batch_size": 4, "schedule.warmup_steps": 3,
    "evaluation.every": 3, "evaluation.examples": 8, "checkpoint.seconds": 0.0, "accelerator": "cpu",
}  # fmt: skip


def begun(description: dict[str, Any], out: Path, storage: str | None = None) -> Job:
    """A sweep that is set up, with nothing done of it yet."""
    job = prepare(description, out, storage).job
    set_up(job)
    return job


def told(job: Job) -> list[Update]:
    """What a worker in this process tells while it does all that is left of a job."""
    updates: list[Update] = []
    work(job, updates.append)
    return updates


def in_a_child(do: Callable[[], object]) -> mp.process.BaseProcess:
    """A forked process that does something; torch is there already."""

    def child() -> None:
        torch.set_num_threads(1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        do()

    process = mp.get_context("fork").Process(target=child)
    process.start()
    return process


def files(out: Path, *names: str) -> dict[str, bytes]:
    """The contents of such files below a folder."""
    return {str(path.relative_to(out)): path.read_bytes() for name in names for path in sorted(out.rglob(name))}


def numbers(out: Path) -> dict[str, bytes]:
    """All that a sweep's runs measured and learnt."""
    return files(out, "metrics.csv", "model.safetensors")
