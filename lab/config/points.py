"""The steps at which a run is measured, and those at which it keeps its weights."""

from __future__ import annotations

import math
from bisect import bisect_left

KEPT_PER_DECADE = 8
"""Log-spaced steps in a factor of ten at which `checkpoint.keep: per_decade` keeps weights."""


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
        points.update(_log_spaced(steps, per_decade))
    return sorted(points)


def thinned(points: list[int]) -> list[int]:
    """Return about `KEPT_PER_DECADE` of these points in a decade: 0, the last, and the first at or after each log-spaced step.

    Args:
        points: Steps from 0 on, sorted.
    """
    targets = _log_spaced(points[-1], KEPT_PER_DECADE)
    return sorted({points[0], points[-1], *(points[bisect_left(points, target)] for target in targets)})


def _log_spaced(steps: int, per_decade: int) -> list[int]:
    last = math.floor(math.log10(steps) * per_decade)
    return [round(10 ** (k / per_decade)) for k in range(last + 1)]
