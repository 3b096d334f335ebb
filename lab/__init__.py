"""A laboratory for multi-token prediction: small transformers with n prediction heads, trained, measured and compared.

    import lab

    experiment = lab.experiment("induction", n_future=2, seed=0)
    run = lab.train(experiment, "runs/first")
    run.frame(), run.model()

A name loads its module when it is first used, since torch and Lightning take seconds; `__init__.pyi` lists them.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import lazy_loader


def _check_tasks() -> None:
    """Raise if another `tasks`, such as a tasks.py in the working directory, comes before ours."""
    found, ours = importlib.util.find_spec("tasks"), Path(__file__).resolve().parents[1] / "tasks"
    if found is not None and found.origin is not None and Path(found.origin).resolve().parent != ours.resolve():
        raise ImportError(
            f"lab needs its own package 'tasks', but Python finds {found.origin} first: rename it, or start Python elsewhere",
            name="lab",  # with which `python -m lab` prints one line
        )


_check_tasks()
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
