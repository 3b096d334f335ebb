"""A laboratory for multi-token prediction: small transformers with n prediction heads, trained, measured and compared.

    import lab

    experiment = lab.experiment("induction", n_future=2, seed=0)
    run = lab.train(experiment, "runs/first")
    run.frame(), run.model()

Names load what they need when they are first used: torch and Lightning take seconds.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.config import Experiment, dump, experiment, load, override, resolve
    from lab.errors import Interrupted, LabError
    from lab.evaluation.from_file import evaluate
    from lab.runs import Run, open_runs
    from lab.runs.frames import frame
    from lab.sweeping import Sweep, sweep
    from lab.training import measured, resume, train, train_each, train_together


def _check_tasks() -> None:
    """Raise if another `tasks`, such as a tasks.py in the working directory, comes before ours."""
    found, ours = importlib.util.find_spec("tasks"), Path(__file__).resolve().parents[1] / "tasks"
    if found is not None and found.origin is not None and Path(found.origin).resolve().parent != ours.resolve():
        raise ImportError(
            f"lab needs its own package 'tasks', but Python finds {found.origin} first: rename it, or start Python elsewhere",
            name="lab",  # with which `python -m lab` prints one line
        )


_check_tasks()
_ROOMS = {
    "Experiment": "lab.config",
    "dump": "lab.config",
    "experiment": "lab.config",
    "load": "lab.config",
    "override": "lab.config",
    "resolve": "lab.config",
    "LabError": "lab.errors",
    "Run": "lab.runs",
    "open_runs": "lab.runs",
    "frame": "lab.runs.frames",
    "Sweep": "lab.sweeping",
    "sweep": "lab.sweeping",
    "Diverged": "lab.errors",
    "Interrupted": "lab.errors",
    "evaluate": "lab.evaluation.from_file",
    "measured": "lab.training",
    "resume": "lab.training",
    "train": "lab.training",
    "train_each": "lab.training",
    "train_together": "lab.training",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'lab' has no attribute {name!r}")
    return getattr(importlib.import_module(_ROOMS[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


__all__ = [
    "Diverged",
    "Experiment",
    "Interrupted",
    "LabError",
    "Run",
    "Sweep",
    "dump",
    "evaluate",
    "experiment",
    "frame",
    "load",
    "measured",
    "open_runs",
    "override",
    "resolve",
    "resume",
    "sweep",
    "train",
    "train_each",
    "train_together",
]
