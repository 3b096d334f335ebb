"""Headline metrics of tasks, labels of their roles, and reference lines of figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import tasks
from lab.config import Experiment
from lab.errors import LabError
from lab.metrics import Metric, headline_metric
from tasks.errors import TaskError

if TYPE_CHECKING:
    import pandas as pd


def headline(experiment: Experiment) -> str:
    """Return the metric of the next-token head whose curve says whether the task is learnt."""
    return str(headline_metric(experiment.task.headline))


def headline_of(frame: pd.DataFrame) -> str | None:
    """Return the metric of a saved frame whose curve shows whether its task is learnt, of the next-token head.

    None if the frame names no task or several, or does not have the headline of the task's default settings.
    """
    names = list(frame["task"].unique()) if "task" in frame.columns else []
    if len(names) == 1:
        with suppress(TaskError):
            metric = str(headline_metric(tasks.get(names[0]).headline))
            return metric if (frame["metric"] == metric).any() else None
    return None


def role_label(frame: pd.DataFrame) -> Callable[[str], str] | None:
    """Return the function that labels roles of a frame's task; None where it has several, or one that cannot be imported."""
    names = list(frame["task"].unique()) if "task" in frame.columns else []
    if len(names) != 1:
        return None
    try:
        return tasks.find(names[0]).role_label
    except TaskError:
        return None


def common_headline(experiments: Sequence[Experiment]) -> str:
    """Return the headline that the tasks of several experiments share.

    Raises:
        LabError: If they have different ones.
    """
    metrics = sorted({headline(experiment) for experiment in experiments})
    if len(metrics) > 1:
        raise LabError(f"the runs are of tasks with different metrics ({', '.join(metrics)}): choose one as metric")
    return metrics[0]


def shared_lines(experiments: Sequence[Experiment], metric: str) -> dict[str, float]:
    """Return the reference lines of several experiments: one by its name alone where all agree, else each with its value."""
    lines = {line for experiment in experiments for line in reference_lines(experiment, metric).items()}
    names = [name for name, _ in lines]
    return {name if names.count(name) == 1 else f"{name} {value:.2g}": value for name, value in sorted(lines)}


def reference_lines(experiment: Experiment, metric: str) -> dict[str, float]:
    """Return the reference lines of a metric: plateaus or else `chance` of an accuracy, `floor` (nats) of a loss, if known."""
    found = Metric.parse(metric)
    if found.role not in experiment.task.roles:
        return {}
    if found.name == "accuracy":
        if plateaus := experiment.task.plateaus(found.role):
            return dict(plateaus)
        name, value = "chance", experiment.task.chance(found.role)
    elif found.name == "loss":
        name, value = "floor", experiment.task.floor(found.role)
    else:
        return {}
    return {} if value is None else {name: value}
