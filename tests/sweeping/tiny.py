"""Tiny sweeps, done in this process or in a forked one."""

import multiprocessing as mp
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lab
from lab.sweeping.prepare import prepare
from lab.sweeping.study.place import Job
from lab.sweeping.study.study import set_up
from lab.sweeping.workers import worker
from lab.sweeping.workers.trials import Update
from lab.sweeping.workers.worker import work

BASE: dict[str, Any] = {
    "task": "induction", "task.vocabulary": 12, "task.period": [3, 5], "task.length": 12, "task.test_period": [6, 6],
    "model.width": 8, "model.layers": 4, "model.n_heads": 2, "steps": 12, "batch_size": 4, "schedule.warmup_steps": 3,
    "evaluation.every": 3, "evaluation.examples": 8, "checkpoint.seconds": 0.0, "accelerator": "cpu",
}  # fmt: skip


TWELVE: dict[str, Any] = {"grid": {"n_future": [1, 2, 3]}, "seeds": 4}
SHORT = {"steps": 2, "schedule.warmup_steps": 0, "evaluation.every": 2, "evaluation.measures.induction": 0}


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


def twelve_runs_by_four(job: Job, log: Path) -> list[tuple[str, int]]:
    """Four workers on a job of twelve runs of two steps; which runs were begun, by which process."""

    def child() -> None:
        usual = worker.train

        def train(experiment: lab.Experiment, path: Path, **options: Any) -> lab.Run:
            with log.open("a") as file:
                file.write(f"{path.name} {os.getpid()}\n")
            return usual(experiment, path, **options)

        pytest.MonkeyPatch().setattr(worker, "train", train)
        told(job)

    processes = [in_a_child(child) for _ in range(4)]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    lines = [line.split() for line in log.read_text().splitlines()]
    return [(name, int(pid)) for name, pid in lines]


def files(out: Path, *names: str) -> dict[str, bytes]:
    """The contents of such files below a folder."""
    return {str(path.relative_to(out)): path.read_bytes() for name in names for path in sorted(out.rglob(name))}


def numbers(out: Path) -> dict[str, bytes]:
    """All that a sweep's runs measured and learnt."""
    return files(out, "metrics.csv", "model.safetensors")
