"""End values over conditions and sizes: a heat map with intervals, and lines (figures 7 and 8 of the paper)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.metrics import Metric
from lab.plots.axes import PARAMETERS, count, figure_of, log_axis, metric_label, new_axes, note, reference, round_significant
from lab.plots.panels import Lines, in_panels, reject_more
from lab.plots.style import LUMINANCE
from lab.plots.tables import attach_notes, describe_seeds, end_table, seed_columns
from lab.stats.bootstrap import FEWEST
from lab.stats.conditions import Conditions, rows_of
from lab.stats.configurations import Rule, finished_with

ROWS_AT_MOST = 24
BANDS_AT_MOST = 3
"""Lines with bands; more have bars beside each other."""


def by_size(frame: pd.DataFrame, metric: str, by: Sequence[str] | None, rule: Rule) -> tuple[Conditions, pd.DataFrame]:
    """Return the conditions of the finished runs, and the end values of each at each size.

    Sizes are non-embedding parameters to two digits: conditions that are matched in size differ by less.
    """
    rows = rows_of(frame, metric)
    rows = rows.assign(parameters=[round_significant(value, 2) for value in rows["parameters"]])
    found = finished_with(rows, metric, rule, by, ["parameters"])
    return found, end_table(found, metric, rule, ["parameters"])


def size(
    frame: pd.DataFrame,
    metric: str,
    *,
    by: Sequence[str] | None = None,
    rule: Rule = "last",
    lines: Mapping[str, float] | None = None,
    axes: Axes | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """Draw a metric against model size, a line for each condition.

    Args:
        frame: A tidy frame with a column `parameters`.
        metric: Name of the metric, such as `accuracy/copy/1`.
        by: Settings that distinguish conditions beside the size; by default all that vary.
        rule: `last` or `best` evaluation of each finished run.
        lines: Reference values by name.
        axes: Where to draw; by default a new figure's.

    Returns:
        The figure, and the numbers drawn: see `end_table`.
    """
    found, table = by_size(frame, metric, by, rule)

    def draw(panel: Axes, shown: Lines) -> None:
        sizes = table["parameters"]
        beside = len(shown) > BANDS_AT_MOST or sizes.nunique() == 1
        step = 1.04 if sizes.nunique() == 1 else (sizes.max() / sizes.min()) ** 0.015
        for place, (condition, (label, look)) in enumerate(shown.items()):
            rows = table[table["condition"] == condition]
            if beside:
                rows = rows.assign(parameters=rows["parameters"] * step ** (place - (len(shown) - 1) / 2))
                reach = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
                bars: dict[str, Any] = {"ecolor": look.colour, "elinewidth": 0.9, "capsize": 1.5, "fmt": "none"}
                panel.errorbar(rows["parameters"], rows["mean"], yerr=np.nan_to_num(reach), **bars)
            else:
                panel.fill_between(rows["parameters"], rows["low"], rows["high"], color=look.colour, alpha=0.18, linewidth=0)
            panel.plot(rows["parameters"], rows["mean"], **look.options, markersize=4.5, label=label)
            draw_seeds(panel, rows, "parameters", look.colour)
        reference(panel, lines or {})
        log_axis(panel, PARAMETERS, sizes)
        if sizes.nunique() == 1:
            panel.set_xlim(sizes.min() / 1.5, sizes.max() * 1.5)
        panel.set_ylabel(metric_label(metric, frame) + (", best evaluation" if rule == "best" else ""))

    return in_panels(found, draw, interval_note(table, "interval"), axes), attach_notes(table, found)


def grid(
    frame: pd.DataFrame,
    metric: str,
    *,
    by: Sequence[str] | None = None,
    rule: Rule = "last",
    axes: Axes | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """Draw a metric over conditions and model sizes, each combination with its interval.

    Args:
        frame: A tidy frame with a column `parameters`.
        metric: Name of the metric, such as `accuracy/copy/1`.
        by: Settings that distinguish conditions beside the size; by default all that vary.
        rule: `last` or `best` evaluation of each finished run.
        axes: Where to draw; by default a new figure's.

    Returns:
        The figure, and the numbers drawn: see `end_table`.

    Raises:
        LabError: If there are more than 24 conditions.
    """
    found, table = by_size(frame, metric, by, rule)
    names, sizes = list(table["condition"].unique()), sorted(table["parameters"].unique())
    reject_more(found, ROWS_AT_MOST, f"{ROWS_AT_MOST} rows")
    matrix = table.pivot(index="condition", columns="parameters", values="mean").loc[names, sizes].to_numpy(float)
    axes = axes or new_axes(max(3.8, 0.5 + 0.07 * max(map(len, names)) + 1.05 * len(sizes)), 1.1 + 0.46 * len(names))
    low, high = (0.0, 1.0) if not Metric.parse(metric).lower_is_better else (float(np.nanmin(matrix)), float(np.nanmax(matrix)))
    image = axes.imshow(matrix, cmap="cividis", aspect="auto", vmin=low, vmax=high)
    colours = image.to_rgba(np.nan_to_num(matrix))
    for row in table.to_dict("records"):
        place = names.index(row["condition"]), sizes.index(row["parameters"])
        dark = colours[*place, :3] @ LUMINANCE < 0.5
        axes.text(
            place[1], place[0], cell_text(row), ha="center", va="center", color="white" if dark else "black", fontsize="small"
        )
    axes.set_xticks(range(len(sizes)), [count(value) for value in sizes])
    axes.set_yticks(range(len(names)), names)
    axes.grid(visible=False)
    axes.set_xlabel(PARAMETERS)
    note(axes, metric_label(metric, frame, width=200), f"mean [90 % interval] over {describe_seeds(table)}", *found.notes)
    return figure_of(axes), attach_notes(table, found)


def cell_text(row: Mapping[Any, Any]) -> str:
    """Return the text of a cell: the mean, and the interval, or the number of seeds if they are too few."""
    seeds = int(row["seeds"])
    few = f"{seeds} seed{'s' if seeds > 1 else ''}"
    return f"{row['mean']:.2f}\n" + (few if seeds < FEWEST else f"[{row['low']:.2f}, {row['high']:.2f}]")


def draw_seeds(axes: Axes, rows: pd.DataFrame, x: str, colour: str) -> None:
    """Draw each seed's value as a small open circle, where seeds are too few for an interval."""
    few = rows[(rows["seeds"] > 1) & (rows["seeds"] < FEWEST)]
    for name in seed_columns(few):
        axes.plot(
            few[x], few[name], linestyle="none", marker="o", markersize=2.5, markerfacecolor="none", color=colour, alpha=0.8
        )


def interval_note(table: pd.DataFrame, what: str) -> list[str]:
    """Describe the intervals and the number of their seeds."""
    if table["seeds"].max() == 1:
        return ["one seed a point: no interval"]
    few = "" if table["seeds"].min() >= FEWEST else f", small circles: seeds where they are fewer than {FEWEST}"
    shown = f"mean and 90 % bootstrap {what}" if table["seeds"].max() >= FEWEST else "mean"
    return [f"{shown} over {describe_seeds(table).partition(';')[0]}{few}"]
