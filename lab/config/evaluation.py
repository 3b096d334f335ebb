"""The settings of evaluation: when, on what, and which measures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field

from lab.config.points import evaluation_points
from lab.config.settings import LARGEST, Settings, to_whole
from lab.metrics import EVERY_TARGET, PER_HEAD, Metric, headline_metric
from tasks import Task
from tasks.errors import nearest

MOST_POINTS = 1_000_000
"""Evaluation points of a run."""


class MeasureEntry(NamedTuple):
    """An entry of the table of measures.

    Attributes:
        path: Where the function is.
        every: Default number of evaluation points from one measurement to the next; 0: never.
        metrics: Its metrics in words.
    """

    path: str
    every: int
    metrics: str


MEASURES = {
    "induction": MeasureEntry(
        "lab.evaluation.measures:measure_induction", 1, "prefix matching and copying of every attention head"
    ),
    "training": MeasureEntry(
        "lab.evaluation.measures:measure_training", 1, "training loss and gradient norm since the last evaluation point"
    ),
    "gradients": MeasureEntry(
        "lab.evaluation.measures:measure_gradients", 0, "gradient diagnostics: norms, cosines and shares by role of each head"
    ),
    "rank": MeasureEntry(
        "lab.evaluation.measures:measure_rank", 0, "effective rank of the trunk's output and of each prediction head's state"
    ),
}
"""Measures by name, in the order in which they run; predictions are always measured."""


def _check_measures(value: Any) -> Any:
    """Fill in the defaults; names with dots may arrive as nested mappings, since settings are named by dots."""
    if not isinstance(value, Mapping):
        raise ValueError(f"evaluation.measures must be a mapping of measures to numbers, not {value!r}")
    measures = {name: entry.every for name, entry in MEASURES.items()}
    for name, every in _flat(value):
        if name not in MEASURES and ":" not in name:
            raise ValueError(f"unknown measure {name!r} in evaluation.measures; {nearest(name, MEASURES)} (or module:function)")
        every = to_whole(0 if every is None else every)
        if not isinstance(every, int) or isinstance(every, bool) or not 0 <= every <= LARGEST:
            raise ValueError(f"evaluation.measures.{name} must be a whole number of evaluation points, or 0, not {every!r}")
        measures[name] = every
    return {name: every for name, every in measures.items() if every or name in MEASURES}


def _flat(value: Mapping[str, Any]) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, inner in value.items():
        inside = _flat(inner) if isinstance(inner, Mapping) else None
        pairs += [(str(name), inner)] if inside is None else [(f"{name}.{rest}", each) for rest, each in inside]
    return pairs


class StopSettings(Settings):
    """When a run ends before its last step: once a metric has passed a threshold and held it. By default never."""

    metric: str | None = None
    """Metric that ends the run, such as `accuracy/turn/1`; null: the run trains all its steps."""
    threshold: float = 0.9
    """Value to be reached: from below, of a loss from above."""
    hold: int = Field(2, ge=1)
    """Evaluation points in a row, after step 0, at which the threshold must be met."""

    def is_met(self, value: float) -> bool:
        """Return whether a value of the metric meets the threshold."""
        assert self.metric is not None
        return value <= self.threshold if Metric.parse(self.metric).lower_is_better else value >= self.threshold

    def describe(self) -> str:
        """Return the condition in words, as `accuracy/turn/1 >= 0.9 twice in a row`."""
        assert self.metric is not None
        sign = "<=" if Metric.parse(self.metric).lower_is_better else ">="
        times = {1: "once", 2: "twice in a row"}.get(self.hold, f"{self.hold} times in a row")
        return f"{self.metric} {sign} {self.threshold:g} {times}"

    def check(self, task: Task, n: int) -> None:
        """Raise a ValueError if the metric is neither a loss or accuracy of a role and head nor the task's headline."""
        if self.metric is None:
            return
        roles, heads = (EVERY_TARGET, *task.roles[1:]), range(1, n + 1)
        known = [str(Metric(name, role=role, head=head)) for name in PER_HEAD for role in roles for head in heads]
        known.append(str(headline_metric(task.headline)))
        if self.metric not in known:
            raise ValueError(f"unknown evaluation.stop.metric {self.metric!r}; {nearest(self.metric, known)}")


class EvaluationSettings(Settings):
    """When, on what and how the model is measured. Steps 0 and the last are always evaluation points."""

    every: int | None = Field(25, ge=1)
    """Steps between evaluation points; null for none. Log-spaced points alone miss a late, sudden emergence."""
    per_decade: int | None = Field(None, ge=1, le=10_000)
    """Log-spaced evaluation points in each factor of ten of steps; null for none."""
    examples: int = Field(256, ge=1)
    """Sequences that are measured, for the task and for each of its variants."""
    split: Literal["validation", "test"] = "validation"
    """Which held-out sequences are measured."""
    stop: StopSettings = StopSettings()
    measures: Annotated[dict[str, int], BeforeValidator(_check_measures)] = Field(
        {name: entry.every for name, entry in MEASURES.items()}
    )
    """Measures with their interval in evaluation points; the last step is always included; 0: never. A measure is one of
    `MEASURES`, or `module:function` of your own; loss and accuracy are always measured."""

    def points(self, steps: int) -> list[int]:
        """List the steps at which a run of so many optimiser steps is measured."""
        return evaluation_points(steps, self.every, self.per_decade)

    def check(self, steps: int) -> None:
        """Raise a ValueError if there are too many evaluation points in so many steps."""
        if self.every is not None and steps // self.every > MOST_POINTS:
            raise ValueError(
                f"evaluation.every must be at least {-(-steps // MOST_POINTS)} with steps = {steps}, "
                f"not {self.every}: more than {MOST_POINTS} evaluation points"
            )
