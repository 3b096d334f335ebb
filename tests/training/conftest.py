from collections.abc import Callable, Iterator

import pytest
import torch

import lab
from lab.config import Experiment


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def tiny() -> Callable[..., Experiment]:
    """Experiments of a fraction of a second."""

    def make(**changed: object) -> Experiment:
        settings: dict[str, object] = {
            "model.width": 8,
            "model.layers": 3,
            "model.n_heads": 2,
            "task.vocabulary": 12,
            "task.period": [3, 5],
            "task.length": 12,
            "task.test_period": [6, 6],
            "steps": 12,
            "batch_size": 4,
            "schedule.warmup_steps": 3,
            "evaluation.every": 3,
            "evaluation.examples": 8,
            "checkpoint.seconds": 0.0,
            "n_future": 2,
            "accelerator": "cpu",
        }
        return lab.experiment("induction", settings | {name.replace("__", "."): value for name, value in changed.items()})

    return make
