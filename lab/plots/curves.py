"""Metrics against training: a line for each condition, mean over seeds, with a 90 % bootstrap band or each seed's own line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lab.errors import LabError
from lab.plots.axes import AXES, log_axis
from lab.plots.style import Look
from lab.plots.tables import format_range, seed_columns
from lab.stats.bootstrap import FEWEST, bootstrap_band
from lab.stats.conditions import Conditions, conditions, ended_early, rows_of
from tasks.errors import nearest

SHARE = 0.5
"""Share of a condition's seeds that a point needs to be drawn."""


def band_table(frame: pd.DataFrame, metrics: Sequence[str], by: Sequence[str] | None = None, x: str = "tokens") -> pd.DataFrame:
    """Compute the numbers from which a curve is drawn.

    Args:
        frame: A tidy frame.
        metrics: Names of metrics.
        by: Columns that distinguish conditions, see `lab.stats.conditions.conditions`.
        x: One of `AXES`.

    Returns:
        One row for each (condition, metric, step): the column of `x` (mean over seeds: tokens and wall time at a step may
        differ); `mean`, `low` and `high` of the 90 % bootstrap interval over seeds; `seeds`, their number;
        `condition_seeds`, the number of the condition; and `seed <s>`, the value of each. Points that fewer than half of the
        condition's seeds have are left out, diverged runs as well. Of a condition with a run that ended early
        (`evaluation.stop`), points that any seed lacks are left out, since the remaining seeds are the slow ones; it has `True`
        in the column `reached`.

    Raises:
        LabError: If the frame is empty, has no such metric, or has no values of `x`.
    """
    return bands(conditions(rows_of(frame, *metrics), by, keep="not diverged"), metrics, x)


def bands(found: Conditions, metrics: Sequence[str], x: str = "tokens") -> pd.DataFrame:
    """Compute a `band_table` of given conditions."""
    if x not in AXES:
        raise LabError(f"unknown x-axis {x!r}; {nearest(x, AXES)}")
    column, words = AXES[x][0], AXES[x][0].replace("_", " ")
    if column not in found.frame.columns:
        raise LabError(f"the runs do not say their {words}: they were written before it was counted")
    tables = []
    for metric in metrics:
        part = found.frame[found.frame["metric"] == metric]
        for condition, curves in part.groupby("condition", sort=True, observed=True):
            table = _band(curves, column)
            if table.empty:
                raise LabError(f"fewer than half of the runs with {condition} share any evaluation point of {metric}")
            if table[column].isna().any():
                raise LabError(f"the runs with {condition} do not say their {words} at every evaluation point")
            table.insert(0, "condition", condition)
            table.insert(1, "metric", metric)
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _band(curves: pd.DataFrame, column: str) -> pd.DataFrame:
    """Compute the rows of one condition and metric, one for each step."""
    matrix_PS = curves.pivot_table(index="step", columns="seed", values="value", aggfunc="last")
    seeds = matrix_PS.count(axis=1)
    early = ended_early(curves).any()
    kept = matrix_PS[seeds >= (1 if early else SHARE) * curves["seed"].nunique()]
    present_PS = kept.notna().to_numpy()
    intervals = np.full((len(kept), 3), np.nan)
    for seen_S in np.unique(present_PS, axis=0):  # stretches of the same seeds
        points = (present_PS == seen_S).all(axis=1)
        low, mean, high = bootstrap_band(kept.to_numpy()[points][:, seen_S].T)
        intervals[points] = np.column_stack([mean, low, high])
    table = pd.DataFrame(intervals, columns=["mean", "low", "high"])
    table.insert(0, "step", kept.index)
    if column != "step":
        where = curves[curves["value"].notna()].groupby("step")[column].mean()
        table.insert(1, column, where[kept.index].to_numpy(float))
    table = table.assign(seeds=seeds[kept.index].to_numpy(), condition_seeds=curves["seed"].nunique())
    if early:
        table["reached"] = True
    return table.join(kept.rename(columns=lambda seed: f"seed {seed}").reset_index(drop=True))


def band_note(table: pd.DataFrame, x: str = "tokens", *, per_seed: bool = False) -> list[str]:
    """Describe lines and bands, and the number of their seeds."""
    whole = table["condition_seeds"]
    if whole.max() == 1:
        return ["one seed a line: no band"]
    count = format_range(whole)
    if whole.max() < FEWEST:
        lines = [f"mean over {count} seeds and each seed; fewer than {FEWEST} seeds say little"]
    elif per_seed:
        lines = [f"mean over {count} seeds and each seed"]
    elif whole.min() >= FEWEST:
        lines = [f"mean and 90 % bootstrap band over {count} seeds"]
    else:
        lines = [f"mean over {count} seeds, 90 % bootstrap band of {FEWEST} or more, else each seed"]
    if "reached" in table and table["reached"].any():
        lines.append("a line ends where the first of its runs had reached its aim and ended")
    short = table[table["seeds"] < whole]
    if len(short):
        lines.append(f"thin: over {format_range(short['seeds'])} of them, as far as half of a condition's seeds go")
    never = [str(name) for name, rows in table.groupby("condition", sort=False) if not (rows[AXES[x][0]] > 0).any()]
    return lines + ([f"no point after step 0 yet: {', '.join(never)}"] if never else [])


def draw_band(axes: Axes, rows: pd.DataFrame, look: Look, label: str, x: str = "tokens", *, per_seed: bool = False) -> None:
    """Draw one line of a `band_table` with its band, or with a line for each seed if they are few, or asked for.

    The line is thin where some seeds of the condition are missing.
    """
    column = AXES[x][0]
    rows = rows[rows[column] > 0]  # nothing at 0 can stand on a logarithmic axis
    if rows.empty:
        return
    every = max(1, len(rows) // 8)
    whole = rows["seeds"] == rows["condition_seeds"]
    thick = rows["mean"].where(whole) if whole.any() else rows["mean"]
    width = 1.6 if whole.any() else 0.8
    mark = (look.place * every // 6 % every, every)  # markers of neighbours beside each other
    axes.plot(rows[column], thick, **look.options, markevery=mark, markersize=4, linewidth=width, label=label)
    if whole.any() and not whole.all():
        axes.plot(rows[column], rows["mean"], color=look.colour, linestyle=look.line, linewidth=0.8)
    if rows["low"].notna().any() and not per_seed:
        axes.fill_between(rows[column], rows["low"], rows["high"], color=look.colour, alpha=0.18, linewidth=0)
    seeds = rows["condition_seeds"].iloc[0]
    if seeds > 1 and (seeds < FEWEST or per_seed):
        for name in seed_columns(rows):
            axes.plot(rows[column], rows[name], color=look.colour, linewidth=0.5, alpha=0.7, zorder=1.5)


def finish(axes: Axes, table: pd.DataFrame, label: str, x: str = "tokens") -> None:
    """Set labels and limits of axes with curves of a `band_table`.

    Raises:
        LabError: If no run has a point that a logarithmic axis can show.
    """
    column, title = AXES[x]
    points = table.loc[table[column] > 0, column]
    if points.empty:
        raise LabError("no run has an evaluation after step 0 yet")
    log_axis(axes, title, points)
    if points.max() > points.min():
        axes.set_xlim(points.min(), points.max())
    axes.set_ylabel(label)
    values = table[["mean", "low", "high", *seed_columns(table)]].to_numpy(float)
    if np.nanmin(values) >= 0 and np.nanmax(values) <= 1:
        axes.set_ylim(-0.02, 1.02)
