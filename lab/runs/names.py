"""Names of metrics, for those who read them."""

from __future__ import annotations

from lab.config import Experiment

_WHOLE_ANSWER = ("exact", "first")


def headline(experiment: Experiment) -> str:
    """The metric whose curve says whether the task is learnt, of the next-token head."""
    return of_head(experiment.task.headline, 1)


def of_head(metric: str, head: int) -> str:
    """A task's metric (`accuracy/copy`) for one prediction head (`accuracy/copy/1`); whole answers have none."""
    return metric if metric in _WHOLE_ANSWER else f"{metric}/{head}"
