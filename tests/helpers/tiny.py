"""A tiny experiment for all tests, which trains in a fraction of a second."""

from typing import Any

import yaml

import lab
from lab.config import Experiment

MODEL: dict[str, Any] = {"model.width": 8, "model.layers": 3, "model.n_heads": 2}
TRAINING: dict[str, Any] = {
    "steps": 12,
    "batch_size": 4,
    "schedule.warmup_steps": 3,
    "evaluation.every": 3,
    "evaluation.examples": 8,
    "checkpoint.seconds": 0.0,
    "accelerator": "cpu",
}
INDUCTION: dict[str, Any] = {"task.vocabulary": 12, "task.period": [3, 5], "task.length": 12, "task.test_period": [6, 6]}


def tiny_settings(task: str = "induction", **changes: Any) -> dict[str, Any]:
    """Return the settings of a tiny experiment by dotted name.

    Args:
        task: Name of a task; all but induction keep their own default settings.
        changes: Settings to change; `model__heads` stands for `model.heads`.
    """
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return MODEL | TRAINING | (INDUCTION if task == "induction" else {}) | named


def tiny(task: str = "induction", **changes: Any) -> Experiment:
    """Return a tiny experiment with two prediction heads; the arguments are those of `tiny_settings`."""
    return lab.experiment(task, {"n_future": 2} | tiny_settings(task, **changes))


def tiny_options(task: str = "induction", **changes: Any) -> list[str]:
    """Return the words after `lab train TASK` that describe a tiny experiment; the arguments are those of `tiny_settings`."""
    return [
        word
        for name, value in tiny_settings(task, **changes).items()
        for word in (f"--{name.replace('_', '-')}", yaml.safe_dump(value, default_flow_style=True).split("\n")[0])
    ]
