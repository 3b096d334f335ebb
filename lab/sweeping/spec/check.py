"""What can be said against a sweep before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.config import Experiment
from lab.errors import LabError, Occupied
from lab.runs import Run
from lab.runs.names import headline
from lab.runs.run import is_run
from lab.sweeping.spec.configurations import (
    SEED,
    experiment_of,
    extreme_cells,
    grid_trial,
    planned_trials,
    run_name,
    varied_names,
)
from lab.sweeping.spec.description import Direction, Labels, Sweep
from tasks import Task
from tasks.errors import TaskError, nearest

COSTS = ("parameters", "seconds")
"""What can be wanted of a run beside what it measures: non-embedding parameters and training time."""


@dataclass(frozen=True)
class Checked:
    """What a check found out.

    Attributes:
        metrics: What is wanted, by name.
        possible: Cells that can be trained (of a search: of those tried), with the experiment of the first seed.
        impossible: Cells whose settings do not go together, and why.
    """

    metrics: dict[str, Direction]
    possible: list[tuple[Labels, Experiment]]
    impossible: list[tuple[Labels, str]]


def check(sweep: Sweep) -> Checked:
    """Refuse a sweep that cannot be meant.

    A value that no cell can have is a mistake; a combination that cannot be is a gap, which the study records.

    Raises:
        LabError: For an unknown setting, a value that no cell can have, a metric that no run reports.
    """
    if SEED in {*sweep.base, *varied_names(sweep)}:
        raise LabError("seed cannot be set or varied: `seeds` says which, the same for all cells")
    possible: list[tuple[Labels, Experiment]] = []
    impossible: list[tuple[Labels, str]] = []
    for labels in extreme_cells(sweep):
        try:
            possible.append((labels, experiment_of(sweep, labels, sweep.seeds[0])))
        except LabError as error:
            impossible.append((labels, str(error)))
    for name, space in sweep.axes.items():
        for label in space.extremes():
            if not any(labels[name] == label for labels, _ in possible):
                raise LabError(next(why for labels, why in impossible if labels[name] == label))
    for _, experiment in possible:
        if experiment.devices > 1:
            raise LabError(f"devices must be 1 in a sweep, not {experiment.devices}: --workers shares the devices out")
    metrics = dict(sweep.metrics) or {_common_headline([experiment for _, experiment in possible]): "maximise"}
    _check_metrics(list(metrics), possible)
    return Checked(metrics, possible, impossible)


def _common_headline(experiments: list[Experiment]) -> str:
    names = sorted({headline(experiment) for experiment in experiments})
    if len(names) > 1:
        raise LabError(f"metrics is missing: the cells' tasks have different ones ({', '.join(names)})")
    return names[0]


def _check_metrics(metrics: list[str], possible: list[tuple[Labels, Experiment]]) -> None:
    seen: dict[tuple[Any, ...], set[str]] = {}
    for labels, experiment in possible:
        kind = (experiment.task, experiment.n_future)
        if kind not in seen:
            seen[kind] = {*COSTS, *known_metrics(experiment)}
        for metric in metrics:
            if metric not in seen[kind]:
                seen[kind] |= measured_metrics(experiment)
            if metric not in seen[kind]:
                cell = ", ".join(f"{name} {label}" for name, label in labels.items())
                raise LabError(f"metric {metric!r} is not reported at {cell}; {nearest(metric, seen[kind])}")


def known_metrics(experiment: Experiment) -> set[str]:
    """Names of metrics that a run of this experiment reports, as far as its task alone says it (and without torch)."""
    task, names = experiment.task, set[str]()
    variants: dict[str, Task] = {"": task, **{f"{name}:": variant for name, variant in task.variants().items()}}
    for prefix, variant in variants.items():
        roles = (*variant.roles[1:], "all")
        heads = range(1, experiment.n_future + 1)
        names |= {f"{prefix}{kind}/{role}/{i}" for kind in ("loss", "accuracy") for role in roles for i in heads}
        names |= {prefix + name for name in (("exact", "first") if variant.has_answer else ("icl",))}
    return names


def measured_metrics(experiment: Experiment) -> set[str]:
    """Names of the metrics that a run reports, found by measuring an untrained network, and those of its training."""
    from lab.evaluation.evaluator import Evaluator
    from lab.model import build

    training = {f"train/loss/{i}" for i in range(1, experiment.n_future + 1)} | {"train/gradient_norm"}
    return training | set(Evaluator(experiment)(build(experiment)))


def check_folder(sweep: Sweep, out: Path) -> None:
    """Refuse a folder in which something else lies where a run would.

    Raises:
        LabError: Naming it.
    """
    if out.exists() and not out.is_dir():
        raise Occupied(f"{out}: is not a folder")
    if sweep.grid is None or not out.is_dir():
        return
    for number in range(planned_trials(sweep) or 0):
        labels = grid_trial(sweep, number)
        path = out / run_name(sweep, labels, labels[SEED])
        if not path.exists():
            continue
        if not is_run(path):
            raise Occupied(f"{path}: exists already and is no run")
        try:
            wanted = experiment_of(sweep, labels, labels[SEED])
        except (LabError, TaskError):
            continue  # a gap
        if not holds(path, wanted):
            raise Occupied(f"{path}: holds a run of another experiment")


def holds(path: Path, wanted: Experiment) -> bool:
    """Whether a folder's run is of an experiment. An older version's fingerprint differs where settings have come since."""
    run = Run(path)
    return not run.is_edited and (run.record.get("fingerprint") == wanted.fingerprint or run.experiment == wanted)
