"""The steps at which a run is measured."""

from __future__ import annotations

import math

from lab.config import Experiment


def evaluation_points(steps: int, every: int | None, per_decade: int | None) -> list[int]:
    """List the steps at which to measure: 0, the last, regular and log-spaced ones.

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
    """List the steps at which an experiment is measured."""
    return evaluation_points(experiment.steps, experiment.evaluation.every, experiment.evaluation.per_decade)


def every_nth_point(experiment: Experiment, every: int) -> set[int]:
    """Return every n-th evaluation point of an experiment from step 0 on, and the last."""
    points = points_of(experiment)
    return {*points[::every], points[-1]}
