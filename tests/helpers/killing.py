"""Runs that kill themselves in a child process, and runs compared byte by byte."""

import multiprocessing as mp
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lab
from lab.config import Experiment
from lab.training import module


def die(*_: Any, **__: Any) -> None:
    """Kill this process."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_in_step(patch: pytest.MonkeyPatch, number: int = 8) -> None:
    """Make training die in the step with this number, counted from 1."""
    calls = []
    usual = module.TrainingModule.training_step

    def step(self: Any, *arguments: Any) -> Any:
        calls.append(None)
        if len(calls) == number:
            die()
        return usual(self, *arguments)

    patch.setattr(module.TrainingModule, "training_step", step)


def kill_before_any_checkpoint(patch: pytest.MonkeyPatch) -> None:
    """Make training die in its second step."""
    kill_in_step(patch, 2)


def run_killed(work: Callable[[], object]) -> None:
    """Run `work` in a child process, which must kill itself."""

    def child() -> None:
        torch.set_num_threads(1)
        work()

    process = mp.get_context("fork").Process(target=child)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def train_killed(experiment: Experiment, path: Path, kill: Callable[[pytest.MonkeyPatch], None]) -> None:
    """Train in a child process that the patches of `kill` kill."""

    def work() -> None:
        kill(pytest.MonkeyPatch())
        lab.train(experiment, path)

    run_killed(work)


def assert_same_run(one: lab.Run, other: lab.Run) -> None:
    """Assert that two finished runs have the same metrics and weights, byte by byte, and that no checkpoint of one is left."""
    for file in ("metrics.csv", "model.safetensors"):
        assert (one.path / file).read_bytes() == (other.path / file).read_bytes(), file
    assert not list(one.path.glob("checkpoint-*"))
