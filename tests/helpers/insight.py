"""Tasks that answer a question of an instrument, and batches with other tokens or in another order."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tasks
from tasks import Batch, Task
from tasks.core.insight import Insight
from tests.helpers.every_task import EVERY
from tests.helpers.small_tasks import SMALL

SEQUENCES = 64
SETTINGS: list[tuple[str, dict[str, Any]]] = [*((name, {}) for name in EVERY), *SMALL]


def for_tasks_with(*questions: str) -> Callable[..., Any]:
    """Run a test over all settings of the tasks that answer one of the questions."""
    answered = [
        (name, settings)
        for name, settings in SETTINGS
        if any(getattr(tasks.find(name), question) is not getattr(Insight, question) for question in questions)
    ]
    names = [" ".join([name, *(f"{key}={value}" for key, value in settings.items())]) for name, settings in answered]
    return pytest.mark.parametrize("task", [tasks.get(name, **settings) for name, settings in answered], ids=names)


def draw_any_split(task: Task, size: int, seed: int = 0) -> Batch:
    """Draw sequences of the stated distribution, whatever their split; training sequences if the task divides itself."""
    return task.draw(np.random.default_rng(seed), size, "train")


def with_tokens(batch: Batch, tokens: np.ndarray) -> Batch:
    return dataclasses.replace(batch, tokens=tokens)


def reorder(batch: Batch, order: np.ndarray) -> Batch:
    return Batch(**{field.name: getattr(batch, field.name)[order] for field in dataclasses.fields(Batch)})
