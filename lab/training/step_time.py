"""What a training step costs in wall time against one of n = 1: measured on this machine, in turns."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch

from lab.config import Experiment, override
from lab.config.matching import not_measured, resolve, unbudgeted
from lab.config.objective import ObjectiveSettings
from lab.errors import LabError
from lab.training.devices import check_accelerator
from lab.training.fit import make_trainer, quiet_lightning
from lab.training.launch import isolated_training
from lab.training.module import TrainingModule

ROUNDS, STEPS, WARM_UP = 7, 10, 3
"""Turns of each network, its steps in a turn, and how many of them are not counted."""


def with_step_time(experiment: Experiment) -> Experiment:
    """An experiment whose steps are stated, `budget.step_time` measured if they depend on it and nobody has given it.

    Raises:
        LabError: If it has to be measured over several devices, or `resolve` refuses.
    """
    if not_measured(experiment):
        if experiment.devices > 1:
            raise LabError(f"budget.step_time must be given with devices = {experiment.devices}: it is measured on one alone")
        check_accelerator(experiment)
        experiment = override(experiment, {"budget.step_time": round(step_time(experiment), 4)})
    return resolve(experiment)


def step_time(experiment: Experiment, rounds: int = ROUNDS) -> float:
    """Seconds of a training step divided by those of n = 1 with the plain objective: the median over rounds of ratios.

    Both take turns of a few steps of real training, so that what else the machine does disturbs both alike.
    """
    short = {"steps": STEPS, "schedule.warmup_steps": 0, **unbudgeted(experiment)}
    many = override(experiment, short | {"objective.active": "all"})
    one = override(experiment, short | {"n_future": 1, "objective": ObjectiveSettings().model_dump(mode="json")})
    with isolated_training(experiment):
        ratios = [seconds_a_step(TrainingModule(many)) / seconds_a_step(TrainingModule(one)) for _ in range(rounds)]
    return statistics.median(ratios)


def seconds_a_step(module: TrainingModule, clock: Callable[[], float] = time.perf_counter) -> float:
    """Median seconds of an optimiser step of a short training, of which nothing is kept, by a clock."""
    ends = _Ends(clock)
    trainer = make_trainer(module.experiment, [ends])
    with quiet_lightning():
        trainer.fit(module, module.feed(0, trainer.global_rank, trainer.world_size))
    marks = ends.marks[WARM_UP:]
    return statistics.median(after - before for before, after in itertools.pairwise(marks))


class _Ends(pl.Callback):
    """Notes when each optimiser step ended."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.marks: list[float] = []
        self._clock = clock
        self._step = 0

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step > self._step:
            self._step = trainer.global_step
            if module.device.type == "cuda":
                torch.cuda.synchronize(module.device)
            self.marks.append(self._clock())
