"""Metrics against tokens seen: one line for each n, mean over seeds, with a 90 % bootstrap band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from lab.analysis.statistics import FEWEST, bootstrap_band
from lab.errors import LabError
from lab.plots.arms import with_arms
from lab.plots.style import Look, looks
from tasks.errors import nearest

TOKENS = "training tokens seen"
AXES = {
    "tokens": ("tokens", TOKENS),
    "steps": ("step", "optimiser steps"),
    "flops": ("flops", "training FLOPs"),
    "seconds": ("seconds", "wall time (seconds)"),
}
"""What a curve can be drawn against: the frame's column and the axis's label."""
_SAMPLED = {"sampled": "of sampled rows", "forced": "of sampled rows with imposed choices"}


def band_table(frame: pd.DataFrame, metrics: list[str], by: str = "n_future", x: str = "tokens") -> pd.DataFrame:
    """The very numbers that a curve is drawn from.

    Args:
        frame: A tidy frame.
        metrics: Names of metrics.
        by: The column that tells the arms apart.
        x: One of `AXES`. Seeds are averaged where they have seen as many tokens; wall times, which differ, are averaged too.

    Returns:
        One row for each (arm, metric, evaluation point): the column of `x`; `mean`, `low` and `high` of the 90 % bootstrap
        interval over seeds; and `seeds`, how many stand behind it. Points that not every seed of an arm has are left out.

    Raises:
        LabError: If the frame is empty, has no such metric, or nothing is known of `x`.
    """
    if x not in AXES:
        raise LabError(f"unknown x-axis {x!r}; {nearest(x, AXES)}")
    column = AXES[x][0]
    if frame.empty:
        raise LabError("the runs have no metrics yet")
    rows = []
    for metric in metrics:
        part = frame[frame["metric"] == metric]
        if part.empty:
            raise LabError(f"no run has a metric {metric!r}; {nearest(metric, set(frame['metric']))}")
        for arm, curves in part.groupby(by, sort=True, observed=True):
            matrix = curves.pivot_table(index="tokens", columns="run", values="value").dropna()
            if matrix.empty:
                raise LabError(f"the runs with {by} = {arm} share no evaluation point of {metric}")
            points = curves.groupby("tokens")[column].mean()[matrix.index].to_numpy()
            if np.isnan(points).any():
                raise LabError(f"the runs with {by} = {arm} do not say their {x} at every evaluation point")
            low, mean, high = bootstrap_band(matrix.to_numpy().T)
            rows.append(
                pd.DataFrame(
                    {by: arm, "metric": metric, column: points, "mean": mean, "low": low, "high": high,
                     "seeds": matrix.shape[1]}
                )
            )  # fmt: skip
    return pd.concat(rows, ignore_index=True)


def emergence(
    frame: pd.DataFrame,
    metric: str,
    *,
    by: Sequence[str] = ("n_future",),
    x: str = "tokens",
    lines: Mapping[str, float] | None = None,
    axes: Axes | None = None,
) -> tuple[Axes, pd.DataFrame]:
    """The emergence curve: a metric against tokens seen, on a logarithmic axis, one line for each arm.

    Args:
        frame: A tidy frame.
        metric: As `accuracy/copy/1`.
        by: Columns that tell arms apart.
        x: What to draw it against, one of `AXES`.
        lines: Reference values by name, as `{"chance": 1 / 32}`, drawn as thin lines.
        axes: Where to draw; by default a new figure's.

    Returns:
        The axes, and the numbers drawn.
    """
    table = band_table(with_arms(frame, by) if len(frame) else frame, [metric], "arm", x)
    axes = axes or new_axes()
    for arm, look in looks(table["arm"].unique()).items():
        draw_band(axes, table[table["arm"] == arm], look, str(arm), x)
    reference(axes, lines or {})
    finish(axes, table, describe(metric), x)
    return axes, table


def induction(frame: pd.DataFrame, axes: Axes | None = None) -> tuple[Axes, pd.DataFrame]:
    """Prefix-matching score of the strongest attention head against tokens seen, trunk and prediction heads apart."""
    parts = {"prefix_matching/trunk": "trunk", "prefix_matching/prediction": "prediction heads"}
    table = band_table(frame, [metric for metric in parts if (frame["metric"] == metric).any()] or list(parts))
    axes = axes or new_axes()
    for n, look in looks(sorted(table["n_future"].unique())).items():
        for metric, part in parts.items():
            rows = table[(table["n_future"] == n) & (table["metric"] == metric)]
            if not rows.empty:  # colour and marker tell n, the line tells the part
                draw_band(axes, rows, look._replace(line="-" if part == "trunk" else ":"), f"n = {n}, {part}")
    axes.set_ylim(-0.02, 1.02)
    finish(axes, table, "induction score (prefix matching)\nof the strongest attention head")
    return axes, table


def describe(metric: str) -> str:
    """A metric's name as an axis says it: `accuracy/copy/1` is "accuracy on role copy, next-token head"."""
    variant, colon, name = metric.rpartition(":")
    where = f" ({variant})" if colon else ""
    words = name.split("/")
    if words[0] in ("loss", "accuracy") and len(words) >= 3:  # a role's name can hold a slash: copy/1
        kind = "loss (nats)" if words[0] == "loss" else "accuracy"
        head = "next-token head" if words[-1] == "1" else f"prediction head {words[-1]}"
        role = "all scored targets" if words[1] == "all" else f"role {'/'.join(words[1:-1])}"
        return f"{kind} on {role}{where},\n{head}"
    if words[0] in _SAMPLED and len(words) == 2:
        return f"{words[1]}{where},\n{_SAMPLED[words[0]]}"
    if words[0] == "kl" and len(words) == 2:
        return f"divergence from the {words[1]} predictor (nats){where}"
    known = {"exact": "whole answers right (share)", "first": "first answer token right (share)"}
    known["icl"] = "in-context-learning score (nats)"
    return known.get(name, name) + where


def new_axes(width: float = 4.6, height: float = 3.1) -> Axes:
    """Axes of a new figure, inches."""
    return Figure(figsize=(width, height), layout="constrained").add_subplot()


def reference(axes: Axes, lines: Mapping[str, float]) -> None:
    """Values to read a metric against, by name: thin dashed lines with their names at the right edge."""
    for name, value in lines.items():
        axes.axhline(value, color="#777777", linewidth=0.8, linestyle=(0, (6, 3)), zorder=1)
        axes.annotate(name, (1, value), (3, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                      va="center", color="#555555", fontsize=7.5, annotation_clip=False)  # fmt: skip


def band_note(table: pd.DataFrame) -> str:
    """What the band is and how many seeds stand behind it."""
    if table["seeds"].max() == 1:
        return "one seed a line: no band"
    if table["seeds"].max() < FEWEST:
        return f"mean over {seed_count(table)}"
    return f"mean and 90 % bootstrap band over {seed_count(table)}"


def seed_count(table: pd.DataFrame) -> str:
    """How many seeds stand behind the rows of a table, and that they are few where they are."""
    low, high = int(table["seeds"].min()), int(table["seeds"].max())
    count = f"{low}" if low == high else f"{low}-{high}"
    few = f"; fewer than {FEWEST} seeds say little" if low < FEWEST else ""
    return f"{count} seed{'s' if high > 1 else ''}{few}"


def draw_band(axes: Axes, rows: pd.DataFrame, look: Look, label: str, x: str = "tokens") -> None:
    """One line of a `band_table` with its band."""
    column = AXES[x][0]
    rows = rows[rows[column] > 0]  # nothing at 0 can stand on a logarithmic axis
    every = max(1, len(rows) // 8)
    axes.plot(rows[column], rows["mean"], color=look.colour, linestyle=look.line, marker=look.marker,
              markevery=every, markersize=4, label=label)  # fmt: skip
    if rows["seeds"].max() > 1:
        axes.fill_between(rows[column], rows["low"], rows["high"], color=look.colour, alpha=0.18, linewidth=0)


def finish(axes: Axes, table: pd.DataFrame, label: str, x: str = "tokens") -> None:
    """Axes, legend and note of curves that are drawn from a `band_table`."""
    column, title = AXES[x]
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_formatter(NullFormatter())
    points = table.loc[table[column] > 0, column]
    if not points.empty and points.max() > points.min():
        axes.set_xlim(points.min(), points.max())
    axes.set_xlabel(title)
    axes.set_ylabel(label)
    values = table[["mean", "low", "high"]].to_numpy()
    if np.nanmin(values) >= 0 and np.nanmax(values) <= 1:
        axes.set_ylim(-0.02, 1.02)
    crowded = len(axes.get_legend_handles_labels()[1]) > 3  # no corner is free of so many curves
    where: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0, -0.18), "ncols": 2} if crowded else {"loc": "best"}
    axes.legend(**where, handlelength=3, facecolor="white", edgecolor="none", framealpha=0.9)
    axes.set_title(band_note(table), loc="left", color="#555555", fontsize=7.5)
