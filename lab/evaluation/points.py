"""At which steps a run is measured, and how its learning rate goes: plain rules."""

from __future__ import annotations

import math

from lab.config import Experiment


def evaluation_points(steps: int, every: int | None, per_decade: int | None) -> list[int]:
    """Steps at which to measure: 0, the last, every so many steps, and so many log-spaced ones in each factor of ten.

    Args:
        steps: Optimiser steps of the run.
        every: Steps between points; None for none.
        per_decade: Log-spaced points in a factor of ten; None for none.
    """
    points = {0, steps}
    if every is not None:
        points.update(range(every, steps, every))
    if per_decade is not None:
        last = math.floor(math.log10(steps) * per_decade)
        points.update(round(10 ** (k / per_decade)) for k in range(last + 1))
    return sorted(points)


def points_of(experiment: Experiment) -> list[int]:
    """Steps at which an experiment is measured."""
    return evaluation_points(experiment.steps, experiment.evaluation.every, experiment.evaluation.per_decade)


def rate_factor(step: int, experiment: Experiment) -> float:
    """Learning rate of the step that follows `step` steps, as a fraction of the peak; of the last one the decay ratio."""
    warmup, ratio = experiment.schedule.warmup_steps, experiment.schedule.decay_ratio
    if step < warmup:
        return (step + 1) / warmup
    last = experiment.steps - 1
    progress = (step - warmup) / (last - warmup) if step < last else 1.0
    return ratio + (1 - ratio) * 0.5 * (1 + math.cos(math.pi * progress))
