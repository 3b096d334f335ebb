"""Measure the wall time of a training step relative to n = 1, on this machine."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch

from lab.config import Experiment, override
from lab.config.matching import needs_step_time, resolve, timed_settings
from lab.config.objective import ObjectiveSettings
from lab.errors import LabError
from lab.training.devices import check_accelerator
from lab.training.fit import make_trainer, quiet_lightning
from lab.training.launch import isolated_training
from lab.training.module import TrainingModule

ROUNDS, STEPS, WARM_UP = 7, 10, 3
"""Rounds in which the two networks alternate, steps of each in a round, and the first steps that are not timed."""


def with_step_time(experiment: Experiment) -> Experiment:
    """Resolve an experiment; measure `budget.step_time` first if its steps depend on it and it is not set.

    Raises:
        LabError: If the step time is not set and the experiment has several devices, or `resolve` raises.
    """
    if needs_step_time(experiment):
        if experiment.devices > 1:
            raise LabError(f"budget.step_time must be given with devices = {experiment.devices}: it is measured on one device")
        check_accelerator(experiment)
        experiment = override(experiment, {"budget.step_time": round(step_time(experiment), 4)})
    return resolve(experiment)


def step_time(experiment: Experiment, rounds: int = ROUNDS) -> float:
    """Measure the time of a training step as a multiple of the time of n = 1 with the default objective.

    Each round trains both networks for a few steps, so that other load on the machine slows both. The result is the median of
    the ratios of all rounds.
    """
    own = override(experiment, timed_settings(experiment, STEPS))
    base = override(own, {"n_future": 1, "objective": ObjectiveSettings().model_dump(mode="json")})
    with isolated_training(experiment):
        ratios = [seconds_per_step(TrainingModule(own)) / seconds_per_step(TrainingModule(base)) for _ in range(rounds)]
    return statistics.median(ratios)


def seconds_per_step(module: TrainingModule, clock: Callable[[], float] = time.perf_counter) -> float:
    """Train briefly, keep nothing, and return the median time of an optimiser step in seconds."""
    timer = _StepTimer(clock)
    trainer = make_trainer(module.experiment, [timer])
    with quiet_lightning():
        trainer.fit(module, module.feed(0, trainer.global_rank, trainer.world_size))
    times = timer.end_times[WARM_UP:]
    return statistics.median(after - before for before, after in itertools.pairwise(times))


class _StepTimer(pl.Callback):
    """Record the time at the end of each optimiser step."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.end_times: list[float] = []
        self._clock = clock
        self._step = 0

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step > self._step:
            self._step = trainer.global_step
            if module.device.type == "cuda":
                torch.cuda.synchronize(module.device)
            self.end_times.append(self._clock())
