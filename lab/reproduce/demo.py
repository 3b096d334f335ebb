"""Next-token and multi-token models learn induction, compared over paired seeds in about two minutes.

Every number, and the sentence at the end, comes from the runs that the command trains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from lab.reports.emergence import PAGE
from lab.reports.emergence import report as report_emergence
from lab.reproduce import Stage, Study, fixed_stage
from lab.runs import Run
from lab.sweeping.prepare import prepare
from lab.sweeping.run import run
from lab.sweeping.spec.description import Sweep
from lab.sweeping.spec.files import from_mapping
from lab.sweeping.workers.settings import Workers

TASK = "induction"
SEEDS = 6
SETTINGS: dict[str, Any] = {
    "task.length": 32,
    "task.period": [4, 12],
    "task.test_period": [14, 16],
    "steps": 500,
    "optimiser.peak_lr": 6e-3,
    "schedule.warmup_steps": 30,
    "evaluation.every": 20,
    "evaluation.examples": 64,
}
"""Short sequences, in which copying emerges within seconds; docs/experiments.md says how this was chosen."""


def plan_sweep(n_futures: tuple[int, ...], seeds: int, settings: Mapping[str, Any] | None = None) -> Sweep:
    """Return the demo's sweep; its runs come seed by seed, so that pairs are complete as early as possible."""
    base = {"task": TASK, **SETTINGS, **(settings or {})}
    return from_mapping({"name": "demo", "base": base, "grid": {"n_future": list(n_futures)}, "seeds": seeds})


def stages(_scale: str) -> list[Stage]:
    """Return the only stage."""
    return [fixed_stage(plan_sweep((1, 2), SEEDS))]


def report(_scale: str, finished: Sequence[Sequence[Run]], out: Path) -> list[Path]:
    """Write the figures and the page of the only stage's runs, and return the paths of the first figure and of the page."""
    written = report_emergence(finished[0], out, "lab reproduce demo")
    return [written.figure, written.page]


STUDY = Study({"laptop": SETTINGS}, stages, report, PAGE)


def train_all(sweep: Sweep, out: Path, workers: int | None, console: Console) -> list[Run]:
    """Train the demo's models in parallel, one process and one thread each.

    Args:
        sweep: What to train.
        out: Folder of the demo; finished runs of the same experiments that lie in it are taken as they are.
        workers: Processes at a time; as many as there are cores by default.
        console: Where progress is shown: live in a terminal, else a line for each evaluation.

    Returns:
        The runs, in their order.

    Raises:
        LabError: If a run fails, or something else lies where it should be.
    """
    prepared = prepare(sweep, out / "runs", state_dir=out / "study" / sweep.identity)
    return run(prepared, Workers(workers), console, evaluations=True).complete()
