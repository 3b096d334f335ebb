"""Synthetic frames, as `lab.frame` returns them, without any run."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd

Curve = Callable[[Mapping[str, Any], int, int], Mapping[str, float]]
"""Metrics of a run from its configuration, its seed and a step."""


def synthetic_frame(
    configurations: Iterable[Mapping[str, Any]],
    curve: Curve,
    *,
    seeds: int = 4,
    steps: Iterable[int] = range(0, 101, 20),
    task: str = "induction",
    tokens_per_step: int = 2048,
) -> pd.DataFrame:
    """Build a tidy frame: one row for each run (configuration and seed), step and metric.

    Args:
        configurations: The varied settings of each configuration; they become columns.
        curve: Metrics of one run at one step.
        seeds: Number of seeds of each configuration.
        steps: Evaluation points.
        task: Name in the column `task`.
        tokens_per_step: Tokens seen in a step.
    """
    points = list(steps)
    rows = [
        {"run": f"{number}-{seed}", "task": task, "seed": seed, **configuration, "step": step}
        | {"tokens": tokens_per_step * step, "metric": metric, "value": value}
        for number, configuration in enumerate(configurations)
        for seed in range(seeds)
        for step in points
        for metric, value in curve(configuration, seed, step).items()
    ]
    return pd.DataFrame(rows)
