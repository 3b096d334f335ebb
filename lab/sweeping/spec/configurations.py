"""The experiments of a sweep: its configurations, their runs, and the names of the run folders.

A **configuration** is one label on each axis; trained on every seed it makes as many **runs**. Optuna's **trials** are what
workers take: in a grid one run, in a search a whole configuration. Trial k of a grid is known from k alone: configuration k
modulo their number, seed by seed, so that comparisons are complete as early as possible.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from lab.config import Experiment, resolve
from lab.config.files import changed, defaults, flat, from_settings
from lab.errors import LabError
from lab.sweeping.spec.description import Configuration, Sweep

SEED, INIT = "seed", "init"
_MOST_COMBINATIONS = 1024


def grid_trial(sweep: Sweep, number: int) -> Configuration:
    """Return the configuration of a grid's trial, with its seed."""
    count = len(sweep.configurations)
    return {**sweep.configurations[number % count], SEED: sweep.seeds[number // count]}


def planned_trials(sweep: Sweep) -> int | None:
    """Return the number of trials within the budget, or None if the sweep is limited by time alone."""
    return len(sweep.configurations) * len(sweep.seeds) if sweep.grid is not None else sweep.budget.trials


def varied_names(sweep: Sweep) -> set[str]:
    """Return the names of all axes and of the settings that their labels stand for."""
    choices = [choice for space in sweep.axes.values() for choice in getattr(space, "choices", {}).values()]
    return {*sweep.axes, *(name for choice in choices if isinstance(choice, dict) for name in choice)}


def build_experiment(sweep: Sweep, configuration: Mapping[str, Any], seed: int) -> Experiment:
    """Build the experiment of one run.

    A list as `init` has a run for each of the sweep's seeds, in their order.

    Raises:
        LabError: If settings are unknown, wrong or contradict each other.
    """
    base = flat(sweep.base)
    varied: dict[str, Any] = {}
    for name, space in sweep.axes.items():
        varied |= flat(space.settings(name, configuration[name]))
    task = varied.pop("task", varied.pop("task.name", None)) or base.get("task", base.get("task.name"))
    if task is None:
        raise LabError("base.task is missing: the task to learn")
    own = {name: value for name, value in base.items() if name not in ("task", "task.name")}
    init = varied.get(INIT, own.get(INIT))
    if isinstance(init, (list, tuple)):
        if len(init) != len(sweep.seeds):
            raise LabError(
                f"init must be one run, or a list with one for each of the {len(sweep.seeds)} seeds, not {len(init)}"
            )
        varied[INIT] = init[sweep.seeds.index(seed)]
    return resolve(from_settings(changed(changed(defaults(str(task)), own), {**varied, SEED: seed})))


def run_names(sweep: Sweep, number: int, params: Mapping[str, Any]) -> list[str]:
    """Return the names of a trial's run folders.

    Args:
        sweep: The sweep.
        number: Number of the trial.
        params: The trial's parameters: the label on each axis, and in a grid the seed.
    """
    if sweep.grid is not None:
        return [run_name(sweep, params, params[SEED])]
    return [f"trial{number:04d}-seed{seed}" for seed in sweep.seeds]


def trial_experiments(sweep: Sweep, params: Mapping[str, Any]) -> list[Experiment]:
    """Build a trial's experiments, in the order of `run_names`.

    Raises:
        LabError: If the settings contradict each other.
    """
    return [build_experiment(sweep, params, seed) for seed in ((params[SEED],) if sweep.grid is not None else sweep.seeds)]


def grid_experiments(sweep: Sweep) -> dict[str, Experiment]:
    """Build the experiment of every run of a grid, by its name, in the order of the trials.

    Raises:
        LabError: If the settings of a configuration contradict each other.
    """
    trials = [grid_trial(sweep, number) for number in range(planned_trials(sweep) or 0)]
    return {run_name(sweep, trial, trial[SEED]): build_experiment(sweep, trial, trial[SEED]) for trial in trials}


def run_name(sweep: Sweep, configuration: Mapping[str, Any], seed: int) -> str:
    """Return the folder's name of a grid's run, as `n2-width64-seed0`."""
    return f"{sweep.configuration_names[tuple(configuration[name] for name in sweep.axes)]}-seed{seed}"


def boundary_configurations(sweep: Sweep) -> Sequence[Configuration]:
    """Return configurations that show whether every label, or end of a range, is possible at all.

    For a grid all of them; for a search all combinations of ends, or, where these are too many, each end with the first and the
    last of all others.
    """
    if sweep.grid is not None:
        return sweep.configurations
    ends = {name: space.bounds() for name, space in sweep.axes.items()}
    if math.prod(map(len, ends.values())) <= _MOST_COMBINATIONS:
        return [dict(zip(ends, choice, strict=True)) for choice in itertools.product(*ends.values())]
    found = []
    for index in (0, -1):
        others = {name: labels[index] for name, labels in ends.items()}
        found += [{**others, name: label} for name, labels in ends.items() for label in labels]
    return found
