from collections.abc import Callable

import pytest

import lab
from lab.config import Experiment
from tests.threads import one_thread

__all__ = ["one_thread"]


@pytest.fixture
def tiny() -> Callable[..., Experiment]:
    """Experiments of a fraction of a second."""

    def make(task: str = "induction", **changed: object) -> Experiment:
        settings: dict[str, object] = {
            "model.width": 8,
            "model.layers": 3,
            "model.n_heads": 2,
            "steps": 12,
            "batch_size": 4,
            "schedule.warmup_steps": 3,
            "evaluation.every": 3,
            "evaluation.examples": 8,
            "checkpoint.seconds": 0.0,
            "n_future": 2,
            "accelerator": "cpu",
        }
        if task == "induction":
            settings |= {"task.vocabulary": 12, "task.period": [3, 5], "task.length": 12, "task.test_period": [6, 6]}
        return lab.experiment(task, settings | {name.replace("__", "."): value for name, value in changed.items()})

    return make
