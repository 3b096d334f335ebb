"""Which experiments a sweep stands for: cells, their runs, and the names of those.

A **cell** is one choice on every axis; trained on every seed it makes as many **runs**. A **trial** is what a worker takes: of
a grid one run, of a search a whole cell. Trial k of a grid is known from k alone: cell k modulo the number of cells, seed by
seed, so that comparisons are complete as early as possible and no worker needs to be told.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from lab.config import Experiment, resolve
from lab.config.files import changed, defaults, flat, from_settings
from lab.errors import LabError
from lab.sweeping.spec.description import Labels, Sweep

SEED = "seed"


def grid_trial(sweep: Sweep, number: int) -> Labels:
    """The cell and the seed of a grid's trial."""
    return {**sweep.cells[number % len(sweep.cells)], SEED: sweep.seeds[number // len(sweep.cells)]}


def planned_trials(sweep: Sweep) -> int | None:
    """Number of trials within the budget; None if only time ends the sweep."""
    return len(sweep.cells) * len(sweep.seeds) if sweep.grid is not None else sweep.budget.trials


def varied_names(sweep: Sweep) -> set[str]:
    """Everything that a sweep varies: its axes, and the settings that their labels stand for."""
    choices = [choice for space in sweep.axes.values() for choice in getattr(space, "choices", {}).values()]
    return {*sweep.axes, *(name for choice in choices if isinstance(choice, dict) for name in choice)}


def experiment_of(sweep: Sweep, labels: Mapping[str, Any], seed: int) -> Experiment:
    """The experiment of one run.

    Raises:
        LabError: If the settings are unknown, wrong or do not go together.
    """
    base = flat(sweep.base)
    varied: dict[str, Any] = {}
    for name, space in sweep.axes.items():
        varied |= flat(space.settings(name, labels[name]))
    task = varied.pop("task", varied.pop("task.name", None)) or base.get("task", base.get("task.name"))
    if task is None:
        raise LabError("base.task is missing: which task is learnt")
    own = {name: value for name, value in base.items() if name not in ("task", "task.name")}
    return resolve(from_settings(changed(changed(defaults(str(task)), own), {**varied, SEED: seed})))


def trial_names(sweep: Sweep, number: int, params: Mapping[str, Any]) -> list[str]:
    """The names of a trial's run folders.

    Args:
        sweep: The sweep.
        number: Of the trial.
        params: What the study says of it: the label on each axis, and of a grid the seed.
    """
    if sweep.grid is not None:
        return [run_name(sweep, params, params[SEED])]
    return [f"trial{number:04d}-seed{seed}" for seed in sweep.seeds]


def trial_experiments(sweep: Sweep, params: Mapping[str, Any]) -> list[Experiment]:
    """A trial's experiments, in the order of their names.

    Raises:
        LabError: If the settings do not go together.
    """
    return [experiment_of(sweep, params, seed) for seed in ((params[SEED],) if sweep.grid is not None else sweep.seeds)]


def grid_experiments(sweep: Sweep) -> dict[str, Experiment]:
    """Every run of a grid by its name, in the order of the trials.

    Raises:
        LabError: If the settings of a cell do not go together.
    """
    trials = [grid_trial(sweep, number) for number in range(len(sweep.cells) * len(sweep.seeds))]
    return {run_name(sweep, trial, trial[SEED]): experiment_of(sweep, trial, trial[SEED]) for trial in trials}


def run_name(sweep: Sweep, labels: Mapping[str, Any], seed: int) -> str:
    """The folder's name of a grid's run, as `n2-width64-seed0`; a cell whose name would be no one's own gets its number."""
    return f"{sweep.cell_names[tuple(labels[name] for name in sweep.axes)]}-seed{seed}"


def extreme_cells(sweep: Sweep, most: int = 1024) -> Sequence[Labels]:
    """Cells from which it can be seen whether every label, or end of a range, is possible at all.

    Of a grid all cells; of a search all combinations of ends, or, where they are too many, each end with the first and the last
    of all others.
    """
    if sweep.grid is not None:
        return sweep.cells
    ends = {name: space.extremes() for name, space in sweep.axes.items()}
    if math.prod(map(len, ends.values())) <= most:
        return [dict(zip(ends, choice, strict=True)) for choice in itertools.product(*ends.values())]
    lines = []
    for place in (0, -1):
        rest = {name: labels[place] for name, labels in ends.items()}
        lines += [{**rest, name: label} for name, labels in ends.items() for label in labels]
    return lines
