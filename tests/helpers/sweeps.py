"""Tiny sweeps, trained by workers in this process or in forked ones."""

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
from lab.sweeping.study.study import open_study, set_up
from lab.sweeping.workers import worker
from lab.sweeping.workers.trials import Update
from lab.sweeping.workers.worker import work
from tests.helpers.digests import digest
from tests.helpers.tiny import INDUCTION, MODEL, TRAINING

BASE: dict[str, Any] = {"task": "induction", **INDUCTION, **MODEL, **TRAINING, "model.layers": 4}
CRASHING: dict[str, Any] = {"task": "tests.helpers.crashing:Crashing", "task.vocabulary": 12, **MODEL, **TRAINING}
SHORT: dict[str, Any] = {"steps": 2, "schedule.warmup_steps": 0, "evaluation.every": 2, "evaluation.measures.induction": 0}
TWELVE: dict[str, Any] = {"grid": {"n_future": [1, 2, 3]}, "seeds": 4}


def grid(base: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return a grid of tiny runs: n = 1, 2 on two seeds.

    Args:
        base: Settings of the experiment to change.
        changes: Settings of the sweep to change.
    """
    return {"name": "tiny", "base": BASE | (base or {}), "grid": {"n_future": [1, 2]}, "seeds": 2} | changes


def search(base: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return a random search of four tiny runs over rate and width; the arguments are those of `grid`."""
    space = {
        "optimiser.peak_lr": {"kind": "log", "low": 1e-4, "high": 1e-1},
        "model.width": {"kind": "int", "low": 8, "high": 16, "step": 8},
    }
    metrics = {"loss/all/1": "minimise"}
    description = {"name": "tiny", "base": BASE | (base or {}), "search": space, "sampler": "random", "metrics": metrics}
    return description | {"budget": {"trials": 4}} | changes


def set_up_sweep(description: dict[str, Any], out: Path, storage: str | None = None) -> Job:
    """Set up a sweep without training a run."""
    job = prepare(description, out, storage).job
    set_up(job)
    return job


def run_worker(job: Job) -> list[Update]:
    """Run a worker in this process until nothing is left, and return its updates."""
    updates: list[Update] = []
    work(job, updates.append)
    return updates


def train_sweep(description: dict[str, Any], out: Path) -> Job:
    """Train a whole sweep in this process."""
    job = set_up_sweep(description, out)
    run_worker(job)
    return job


def fork(do: Callable[[], object]) -> mp.process.BaseProcess:
    """Run a function in a forked process, which need not import torch again."""

    def child() -> None:
        torch.set_num_threads(1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        do()

    process = mp.get_context("fork").Process(target=child)
    process.start()
    return process


def train_twelve_by_four(job: Job, log: Path) -> list[tuple[str, int]]:
    """Train twelve runs by four workers; return the name of each run that was started and the id of its process."""

    def child() -> None:
        usual = worker.train

        def train(experiment: lab.Experiment, path: Path, **options: Any) -> lab.Run:
            with log.open("a") as file:
                file.write(f"{path.name} {os.getpid()}\n")
            return usual(experiment, path, **options)

        pytest.MonkeyPatch().setattr(worker, "train", train)
        run_worker(job)

    processes = [fork(child) for _ in range(4)]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    lines = [line.split() for line in log.read_text().splitlines()]
    return [(name, int(pid)) for name, pid in lines]


def trials(job: Job) -> list[tuple[Any, ...]]:
    """Return number, state, parameters and values of each trial."""
    return [(trial.number, trial.state, trial.params, trial.values) for trial in open_study(job).trials]


def numbers(out: Path) -> dict[str, str]:
    """Return the digests of metrics and weights of all runs below a folder, by file."""
    names = ("metrics.csv", "model.safetensors")
    return {str(path.relative_to(out)): digest(path) for name in names for path in sorted(out.rglob(name))}
