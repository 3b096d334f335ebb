"""Next-token and multi-token models, compared over paired seeds in minutes on two tasks.

Every number, and every sentence, comes from the runs that the command trains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from lab.reports.emergence import PAGE, Report, report_cases
from lab.reports.section import Section
from lab.reproduce import Stage, Study, fixed_stage
from lab.reproduce.demo_cases import CASES, SEEDS
from lab.runs import Run
from lab.sweeping.prepare import prepare
from lab.sweeping.run import run
from lab.sweeping.spec.description import Sweep
from lab.sweeping.spec.files import from_mapping
from lab.sweeping.workers.settings import Workers

_PREFIX = "demo-"
"""Begins the names of the sweeps, which are studies beside others."""


def plan_sweep(task: str, n_futures: tuple[int, ...], seeds: int, settings: Mapping[str, Any] | None = None) -> Sweep:
    """Return the sweep of one of `CASES`; its runs come seed by seed, so that pairs are complete as early as possible."""
    base = {"task": task, **CASES[task], **(settings or {})}
    return from_mapping({"name": f"{_PREFIX}{task}", "base": base, "grid": {"n_future": list(n_futures)}, "seeds": seeds})


def stages(_scale: str) -> list[Stage]:
    """Return a stage for each task."""
    return [fixed_stage(plan_sweep(task, (1, 2), SEEDS)) for task in CASES]


def report(runs: Mapping[str, Sequence[Run]], out: Path, command: str) -> dict[str, Report]:
    """Write figures and the page of the runs of each task."""
    tasks = list(runs)
    commands = {
        f"lab runs {out}/runs": "lists the runs, with their settings and states",
        f"lab compare {out}/runs/{tasks[0]}": "compares the conditions in a table for a paper",
        f"lab plot survival {out}/runs/{tasks[0]} -o survival.png": "draws the share of runs that have not learnt it yet",
        f"lab inspect probe {out}/runs/{tasks[0]} -o probe.png": "shows what can be read from states, by layer and position",
        "lab reproduce agreement": "runs the study that removes the second head's gradient or its targets, about an hour",
    }
    steps = "\n\n".join(f"`{words}` {what}." for words, what in commands.items())
    return report_cases(runs, out, command, [Section("What next", steps)])


def report_stages(_scale: str, finished: Sequence[Sequence[Run]], out: Path) -> list[Path]:
    """Write figures and page of the stages' runs, and return the paths of the figures and of the page."""
    written = list(report(dict(zip(CASES, finished, strict=True)), out, "lab reproduce demo").values())
    return [*(each.figure for each in written), written[0].page]


STUDY = Study({"laptop": CASES}, stages, report_stages, PAGE)


def train_all(sweep: Sweep, out: Path, workers: int | None, console: Console) -> list[Run]:
    """Train the models of one task in parallel, one process and one thread each.

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
    prepared = prepare(sweep, out / "runs" / sweep.name.removeprefix(_PREFIX), state_dir=out / "study" / sweep.identity)
    return run(prepared, Workers(workers), console, evaluations=True).complete()
