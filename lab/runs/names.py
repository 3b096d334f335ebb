"""Names of metrics, for those who read them."""

from __future__ import annotations

from collections.abc import Sequence

from lab.config import Experiment

_OF_EVERY_HEAD = ("loss", "accuracy")


def headline(experiment: Experiment) -> str:
    """The metric whose curve says whether the task is learnt, of the next-token head."""
    return of_head(experiment.task.headline, 1)


def of_head(metric: str, head: int) -> str:
    """A task's metric (`accuracy/copy`) for one prediction head (`accuracy/copy/1`); all others are the next-token head's."""
    return f"{metric}/{head}" if metric.partition("/")[0] in _OF_EVERY_HEAD else metric


def shared_lines(experiments: Sequence[Experiment], metric: str) -> dict[str, float]:
    """The reference lines of several experiments: a line by its name alone where all agree, else each with its value."""
    lines = {line for experiment in experiments for line in reference_lines(experiment, metric).items()}
    names = [name for name, _ in lines]
    return {name if names.count(name) == 1 else f"{name} {value:.2g}": value for name, value in sorted(lines)}


def reference_lines(experiment: Experiment, metric: str) -> dict[str, float]:
    """What a metric is to be read against: `chance` for an accuracy, `floor` (nats) for a loss; nothing where unknown."""
    kind, _, rest = metric.rpartition(":")[2].partition("/")
    role = rest.rpartition("/")[0]
    if role not in experiment.task.roles:
        return {}
    if kind == "accuracy":
        name, value = "chance", experiment.task.chance(role)
    elif kind == "loss":
        name, value = "floor", experiment.task.floor(role)
    else:
        return {}
    return {} if value is None else {name: value}
