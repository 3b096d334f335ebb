"""What a study's cells reach against what they cost, and which of them no other one beats in both."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from lab.analysis.cells import Rule, cell_table, lower_is_better, run_values
from lab.errors import LabError
from lab.plots.arms import varied_settings, with_arms
from lab.plots.curves import band_note, describe, new_axes
from lab.plots.study import PARAMETERS, log_axis
from lab.plots.style import looks
from tasks.errors import nearest

COSTS = {
    "parameters": PARAMETERS,
    "flops": "training FLOPs",
    "seconds": "wall time (seconds)",
    "tokens": "training tokens seen",
}


def pareto(
    frame: pd.DataFrame,
    metric: str,
    *,
    cost: str = "parameters",
    by: Sequence[str] = ("n_future",),
    rule: Rule = "last",
    axes: Axes | None = None,
) -> tuple[Axes, pd.DataFrame]:
    """A metric against a cost, one point for each cell, and the front of those that no other beats in both.

    Args:
        frame: A tidy frame.
        metric: As `accuracy/copy/1`; of a loss, less is better.
        cost: `parameters`, `flops`, `seconds` or `tokens` of a run, mean over its seeds.
        by: Columns that tell the colours apart. A cell is a combination of all varied settings.
        rule: `last` or `best` evaluation of each run.
        axes: Where to draw; by default a new figure's.

    Returns:
        The axes, and the numbers drawn: one row for each cell, with `front`.

    Raises:
        LabError: For an unknown cost or metric.
    """
    if cost not in COSTS or cost not in frame.columns:
        raise LabError(f"unknown cost {cost!r}; {nearest(cost, [name for name in COSTS if name in frame.columns])}")
    values = run_values(frame, metric, rule)
    if values.empty:
        raise LabError(f"no run has a metric {metric!r}; {nearest(metric, set(frame['metric']))}")
    cells = varied_settings(frame)
    values = with_arms(values, by).astype({"arm": "str"})
    table = cell_table(values, ["arm", *cells])
    costs = values.groupby(["arm", *cells], sort=True, dropna=False)[cost].mean()
    table.insert(len(cells) + 1, cost, costs.to_numpy(float))
    table["front"] = pareto_front(table[cost].tolist(), (table["mean"] * (-1 if lower_is_better(metric) else 1)).tolist())
    axes = axes or new_axes()
    for arm, look in looks(sorted(table["arm"].unique())).items():
        rows = table[table["arm"] == arm]
        errors = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
        axes.errorbar(rows[cost], rows["mean"], yerr=errors, color=look.colour, linestyle="none", marker=look.marker,
                      markersize=5, elinewidth=0.9, capsize=2, label=arm)  # fmt: skip
    front = table[table["front"]].sort_values(cost)
    axes.step(front[cost], front["mean"], where="post", color="#777777", linewidth=1, linestyle="-", label="front", zorder=1)
    log_axis(axes, COSTS[cost], table[cost])
    axes.set_ylabel(describe(metric))
    axes.legend(loc="best", handlelength=2, facecolor="white", edgecolor="none", framealpha=0.9)
    axes.set_title(band_note(table).replace("band", "interval"), loc="left", color="#555555", fontsize=7.5)
    return axes, table


def pareto_front(costs: Sequence[float], values: Sequence[float]) -> list[bool]:
    """Which points no other one beats: none costs as little or less and reaches as much or more, and one of the two strictly.

    Args:
        costs: Less is better.
        values: More is better.
    """
    points = list(zip(costs, values, strict=True))
    return [not any(c <= cost and v >= value and (c, v) != (cost, value) for c, v in points) for cost, value in points]
