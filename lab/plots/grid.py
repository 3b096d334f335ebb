"""End values over conditions and sizes: a heat map with intervals, and lines (figures 7 and 8 of the paper)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.errors import LabError
from lab.metrics import Metric
from lab.plots.axes import (
    PARAMETERS,
    count,
    figure_note,
    figure_of,
    log_axis,
    metric_label,
    new_axes,
    note,
    reference,
    round_significant,
)
from lab.plots.cells import Scale, colour_bar, draw_image
from lab.plots.page import current_page
from lab.plots.panels import Lines, in_panels, reject_more
from lab.plots.tables import attach_notes, describe_seeds, end_table, seed_columns
from lab.stats.bootstrap import FEWEST
from lab.stats.conditions import Conditions, labels_of, rows_of
from lab.stats.configurations import Rule, finished_with

ROWS_AT_MOST = 24
_WIDE_CELL = 0.85
"""Width of a cell that has room for an interval on one line, inches."""
BANDS_AT_MOST = 3
"""Lines with bands; more have bars beside each other."""


def by_size(frame: pd.DataFrame, metric: str, by: Sequence[str] | None, rule: Rule) -> tuple[Conditions, pd.DataFrame]:
    """Return the conditions of the finished runs, and the end values of each at each size.

    Sizes are non-embedding parameters to two digits: conditions that are matched in size differ by less.

    Raises:
        LabError: If the frame has no column `parameters`, as one that was written by hand.
    """
    rows = rows_of(frame, metric)
    if "parameters" not in rows:
        raise LabError("the runs do not say their size: the frame has no column parameters")
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
    reject_more(found, ROWS_AT_MOST, f"{ROWS_AT_MOST} rows")
    cells = _cells(found, table)
    rows, columns = list(dict.fromkeys(cells.rows)), cells.order
    matrix = np.full((len(rows), len(columns)), np.nan)
    texts, narrow = [["" for _ in columns] for _ in rows], _cell_width(rows, columns) < _WIDE_CELL
    for row, column, values in zip(cells.rows, cells.columns, table.to_dict("records"), strict=True):
        place = rows.index(row), columns.index(column)
        matrix[place], texts[place[0]][place[1]] = values["mean"], cell_text(values, narrow=narrow)
    given = axes
    axes = axes or new_axes(_width(rows, columns), 1.3 + 0.46 * len(rows))
    words, low, high = metric_label(metric, frame, width=200), float(np.nanmin(matrix)), float(np.nanmax(matrix))
    if not Metric.parse(metric).lower_is_better and 0 <= low <= high <= 1:
        low, high = 0.0, 1.0  # fractions
    scale = Scale(words.partition(" on ")[0], low, high)
    image = draw_image(axes, matrix, scale, texts)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel(cells.label)
    interval = " [90 % interval]" if table["low"].notna().any() else ""
    lines = [words, f"mean{interval} over {describe_seeds(table)}", *cells.notes, *found.notes]
    if given is None:
        colour_bar(image, [axes], scale)
        figure_note(figure_of(axes), lines)
    else:
        note(axes, *lines)
    return figure_of(axes), attach_notes(table, found)


class _Cells(NamedTuple):
    """The rows and columns of the values of a grid.

    Attributes:
        rows: The label of each value's row.
        columns: The label of each value's column.
        order: The labels of the columns, in order.
        label: Of the horizontal axis.
        notes: A line for what is the same in all cells.
    """

    rows: list[str]
    columns: list[str]
    order: list[str]
    label: str
    notes: list[str]


def _cells(found: Conditions, table: pd.DataFrame) -> _Cells:
    """Arrange the values: columns are sizes, or where there is a single size, values of a setting with short labels."""
    names, sizes = [str(name) for name in table["condition"]], sorted(table["parameters"].unique())
    if len(sizes) > 1 or len(found.settings) < 2:
        return _Cells(names, list(map(count, table["parameters"])), list(map(count, sizes)), PARAMETERS, [])
    each, settings = [str(name) for name in found.table["condition"]], found.settings
    labels = {name: labels_of(found.table[[name]]) for name in reversed(settings)}
    across = min(labels, key=lambda name: max(map(len, labels[name])) // 12)  # the last one, unless another's are shorter
    inside, outside = labels_of(found.table[[name for name in settings if name != across]]), labels[across]
    rows, columns = dict(zip(each, inside, strict=True)), dict(zip(each, outside, strict=True))
    return _Cells(
        [rows[name] for name in names],
        [columns[name] for name in names],
        list(dict.fromkeys(outside)),
        "",
        [f"{count(sizes[0])} {PARAMETERS}"],
    )


def _width(rows: Sequence[str], columns: Sequence[str]) -> float:
    """Return the width of a grid on a page of its own, inches."""
    return max(3.8, 1.2 + 0.07 * max(map(len, rows)) + 1.05 * len(columns))


def _cell_width(rows: Sequence[str], columns: Sequence[str]) -> float:
    """Return the width of a cell on the current page, in inches of a notebook's figure."""
    page = current_page()
    return (page.width_for(_width(rows, columns)) / page.scale - 0.9 - 0.07 * max(map(len, rows))) / len(columns)


def cell_text(row: Mapping[Any, Any], *, narrow: bool = False) -> str:
    """Return the text of a cell: the mean, and the interval, or the number of seeds if they are too few."""
    seeds = int(row["seeds"])
    few = f"{seeds} seed{'s' if seeds > 1 else ''}"
    return f"{row['mean']:.2f}\n" + (
        few if seeds < FEWEST else f"[{row['low']:.2f},{chr(10) if narrow else ' '}{row['high']:.2f}]"
    )


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
