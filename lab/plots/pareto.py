"""A metric against a cost for each configuration, and the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.errors import LabError
from lab.metrics import Metric
from lab.plots.axes import PARAMETERS, TOKENS, figure_of, legend_below, log_axis, metric_label, new_axes, note
from lab.plots.grid import draw_seeds, interval_note
from lab.plots.style import looks
from lab.plots.tables import attach_notes, configuration_settings, end_table
from lab.stats.conditions import labelled
from lab.stats.configurations import Rule, finished_with, run_values
from tasks.errors import nearest

COSTS = {
    "parameters": PARAMETERS,
    "flops": "training FLOPs",
    "seconds": "wall time",
    "tokens": TOKENS,
}


def pareto(
    frame: pd.DataFrame,
    metric: str,
    *,
    cost: str = "parameters",
    by: Sequence[str] | None = None,
    rule: Rule = "last",
    axes: Axes | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """Draw a metric against a cost, and the front of the best configurations.

    Args:
        frame: A tidy frame.
        metric: Name of the metric, such as `accuracy/copy/1`.
        cost: `parameters`, `flops`, `seconds` or `tokens` of a run, mean over its seeds.
        by: Settings that are distinguished by colour; by default the first that varies.
        rule: `last` or `best` evaluation of each finished run.
        axes: Where to draw; by default a new figure's.

    Returns:
        The figure, and the numbers drawn: one row for each configuration, see `end_table`, with the cost, `front`, and its
        settings.

    Raises:
        LabError: For an unknown cost or metric, or a cost that some runs do not have.
    """
    if cost not in COSTS or cost not in frame.columns:
        raise LabError(f"unknown cost {cost!r}; {nearest(cost, [name for name in COSTS if name in frame.columns])}")
    found = finished_with(frame, metric, rule)
    table = end_table(found, metric, rule)
    values = run_values(found.frame, metric, rule)
    by = list(by) if by is not None else found.settings[:1]
    runs = values.assign(colour=labelled(values, by)).groupby("condition", observed=True).agg({"colour": "first", cost: "mean"})
    table.insert(1, cost, runs.loc[table["condition"], cost].to_numpy(float))
    if not (table[cost] > 0).all():
        raise LabError(f"some runs have no {cost}")
    better = table["mean"] * (-1 if Metric.parse(metric).lower_is_better else 1)
    table.insert(2, "front", pareto_front(table[cost].tolist(), better.tolist()))
    names = [str(name) for name in runs["colour"].cat.categories]
    axes = axes or new_axes()
    _draw_points(axes, table, cost, runs.loc[table["condition"], "colour"].astype(str).to_numpy(), names)
    log_axis(axes, COSTS[cost], table[cost])
    if table[cost].max() < 1.5 * table[cost].min():
        axes.set_xlim(table[cost].min() / 1.5, table[cost].max() * 1.5)
    axes.set_ylabel(metric_label(metric, frame))
    legend_below(axes)
    note(axes, *interval_note(table, "interval"), *found.notes)
    return figure_of(axes), attach_notes(
        table.merge(configuration_settings(found), on="condition", validate="one_to_one"), found
    )


def _draw_points(axes: Axes, table: pd.DataFrame, cost: str, colours: np.ndarray, names: Sequence[str]) -> None:
    """Draw configurations with their intervals and seeds, each in the look of its name in `colours`, and the front."""
    spread = table.assign(**{cost: side_by_side(table[cost])})
    marks = {
        "markersize": 5,
        "markeredgecolor": "white",
        "markeredgewidth": 0.4,
        "elinewidth": 0.9,
        "capsize": 1.5,
        "zorder": 2,
    }
    for name, look in looks(names).items():
        rows = spread[colours == name]
        errors = [(rows["mean"] - rows["low"]).fillna(0), (rows["high"] - rows["mean"]).fillna(0)]
        options = look._replace(line="none").options | marks
        axes.errorbar(rows[cost], rows["mean"], yerr=errors, label=name, **options)
        draw_seeds(axes, rows, cost, look.colour)
    front = table[table["front"]].sort_values(cost)
    if len(front) > 1:
        axes.step(front[cost], front["mean"], where="post", color="#777777", linewidth=1.2, label="Pareto front", zorder=3)


def side_by_side(costs: pd.Series) -> pd.Series:
    """Shift positive costs by some percent, so that points of almost equal cost do not overlap."""
    near = costs.apply(math.log).sort_values().diff().gt(0.05).cumsum()
    place, many = near.groupby(near).cumcount(), near.groupby(near).transform("size")
    moved: pd.Series = costs * (math.log(1.03) * (place - (many - 1) / 2)).apply(math.exp)
    return moved


def pareto_front(costs: Sequence[float], values: Sequence[float]) -> list[bool]:
    """Return whether each point is on the Pareto front: no other is at least as good in both and better in one.

    Args:
        costs: Cost of each point; less is better.
        values: Value of each point; more is better.
    """
    points = list(zip(costs, values, strict=True))
    return [not any(c <= cost and v >= value and (c, v) != (cost, value) for c, v in points) for cost, value in points]
