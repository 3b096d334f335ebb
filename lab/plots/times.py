"""Times at which a metric passes a threshold, over two settings: a cell for each combination, with survival curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from pandas.api.types import is_numeric_dtype

from lab.errors import LabError
from lab.plots.axes import TOKENS, count, figure_note, metric_label
from lab.plots.cells import SEQUENTIAL
from lab.plots.page import new_figure
from lab.plots.style import LUMINANCE, looks
from lab.plots.tables import attach_notes, unfinished_note
from lab.stats.conditions import conditions, rows_of, varied_settings
from lab.stats.emergence import emergence_table
from lab.stats.survival import survival_curve
from lab.stats.times import time_table

_MOST = 8
"""Rows, and columns, in a figure."""
_NEVER = "#e4e4e4"
"""Colour of combinations in which fewer than half of the runs pass the threshold."""

Expected = Callable[[Any, Any], bool]
"""Whether a combination of a row's value and a column's value is expected to pass the threshold."""


def times(
    frame: pd.DataFrame,
    metric: str,
    *,
    threshold: float = 0.5,
    by: Sequence[str] | None = None,
    expected: Expected | None = None,
    labels: Mapping[str, str] | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """Draw when a metric passes a threshold over one or two settings, with survival curves beside each row.

    Args:
        frame: A tidy frame.
        metric: Name of the metric, such as `accuracy/turn/1`.
        threshold: Value to be reached at two evaluation points in a row.
        by: Settings of the rows and of the columns, or of the columns alone; by default all that vary, `n_future` last.
        expected: Frames the combinations for which it is true, given the values of both settings.
        labels: Words for the settings.

    Returns:
        The figure, and the numbers drawn: see `lab.stats.times.time_table`.

    Raises:
        LabError: If no run has the metric, there are more than two settings or more than 8 values of one, or runs of a
            combination differ in another setting.
    """
    own = rows_of(frame, metric)
    rows, columns = _settings(own, by)
    found = conditions(own, [name for name in (rows, columns) if name])
    own = found.frame.drop(columns="condition")
    if rows == "":
        own = own.assign(**{rows: ""})
    for name in (rows, columns):
        if not is_numeric_dtype(own[name]) or own[name].isna().any():
            own = own.assign(**{name: own[name].map(str)})
    runs = emergence_table(own, metric, thresholds={"emerged": threshold}, by=[rows, columns])
    table = time_table(runs, "emerged", [rows, columns])
    down, across = sorted(table[rows].unique()), sorted(table[columns].unique())
    figure = new_figure(7.2, 1.15 + 0.72 * len(down))
    grid = figure.add_gridspec(len(down), 2, width_ratios=[1.25, 1])
    cells = figure.add_subplot(grid[:, 0])
    ends = {(row, column): float(part["tokens"].max()) for (row, column), part in own.groupby([rows, columns])}
    _draw_cells(cells, table, (rows, down), (columns, across), ends)
    if expected is not None:
        _frame_expected(cells, down, across, expected)
    words = {rows: _name(rows), columns: _name(columns)} | dict(labels or {})
    cells.set_xlabel(words[columns])
    cells.set_ylabel(words[rows])
    panels = _draw_panels(figure, grid, runs, (rows, down), (columns, across), float(own["tokens"].max()))
    panels[0].set_title(f"share of runs below {threshold:g}", fontsize="medium", loc="left")
    seeds = f"{int(table['runs'].min())}" if table["runs"].nunique() == 1 else f"{table['runs'].min()} to {table['runs'].max()}"
    cell = f"cells: median tokens until it passes {threshold:g}, and how many of {seeds} seeds do"
    framed = [] if expected is None else ["framed: expected before the runs"]
    what = "; ".join([cell, "grey: fewer than half do", *framed])
    figure_note(figure, [metric_label(metric, frame, width=200), what, *unfinished_note(found), *found.notes])
    return figure, attach_notes(table, found)


def _settings(frame: pd.DataFrame, by: Sequence[str] | None) -> tuple[str, str]:
    """Return the settings of the rows, "" for none, and of the columns."""
    varied = sorted(varied_settings(frame), key=lambda name: name == "n_future") or ["n_future"]
    settings = list(varied if by is None else by)
    if not 1 <= len(settings) <= 2:
        wrong = "many" if settings else "few"
        raise LabError(f"by must name one or two settings, those of rows and columns; {len(settings)} are too {wrong}")
    for name in settings:
        if name not in frame:
            raise LabError(f"by: the runs have no column {name}; they differ in {', '.join(varied)}")
        if frame[name].nunique(dropna=False) > _MOST:
            raise LabError(f"by: {name} has more than {_MOST} values: name fewer runs")
    return ("", settings[0]) if len(settings) == 1 else (settings[0], settings[1])


def _draw_cells(
    axes: Axes,
    table: pd.DataFrame,
    rows: tuple[str, list[Any]],
    columns: tuple[str, list[Any]],
    ends: Mapping[tuple[Any, Any], float],
) -> None:
    """Draw the median time of each combination as its colour and text."""
    (down, row_values), (across, column_values) = rows, columns
    shades = np.log(table["median"].clip(lower=1))  # some may pass before the first step
    low, high = (float(shades.min()), float(shades.max())) if shades.notna().any() else (0.0, 1.0)
    for row in table.to_dict("records"):
        place = column_values.index(row[across]), row_values.index(row[down])
        early = (high - math.log(max(row["median"], 1))) / max(high - low, 1e-9) if not math.isnan(row["median"]) else math.nan
        colour: Any = _NEVER if math.isnan(early) else _colour(0.25 + 0.7 * early)
        axes.add_patch(Rectangle((place[0] - 0.5, place[1] - 0.5), 1, 1, facecolor=colour, edgecolor="white", linewidth=1.5))
        dark = not math.isnan(early) and np.dot(colour[:3], LUMINANCE) < 0.5
        time = f"> {count(ends[row[down], row[across]])}" if math.isnan(early) else count(row["median"])
        text = f"{time}\n{row['escaped']} of {row['runs']}"
        axes.text(*place, text, ha="center", va="center", fontsize="small", color="white" if dark else "black")
    axes.set_xlim(-0.55, len(column_values) - 0.45)
    axes.set_ylim(len(row_values) - 0.45, -0.55)
    axes.set_xticks(range(len(column_values)), [_value(value) for value in column_values])
    axes.set_yticks(range(len(row_values)), [_value(value) for value in row_values])
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_panels(
    figure: Figure,
    grid: GridSpec,
    runs: pd.DataFrame,
    rows: tuple[str, list[Any]],
    columns: tuple[str, list[Any]],
    last: float,
) -> list[Axes]:
    """Draw a panel of survival curves beside each row of cells, up to `last` tokens, and their legend; return the panels."""
    (down, row_values), (across, column_values) = rows, columns
    look = looks([_value(value) for value in column_values])
    panels: list[Axes] = []
    for number, value in enumerate(row_values):
        panels.append(figure.add_subplot(grid[number, 1], sharex=panels[0] if panels else None))
        for other in column_values:
            part = runs[(runs[down] == value) & (runs[across] == other)]
            if len(part):
                _draw_curve(panels[-1], part, look[_value(other)], _value(other), last)
        panels[-1].set_ylim(-0.06, 1.06)
        panels[-1].set_yticks([0, 1])
        panels[-1].tick_params(labelbottom=number == len(row_values) - 1)
    panels[-1].set_xlabel(TOKENS)
    panels[-1].set_xlim(0, last * 1.02)
    panels[-1].xaxis.set_major_locator(MaxNLocator(4))
    panels[-1].xaxis.set_major_formatter(lambda tick, _: count(tick))
    lines = {line.get_label(): line for panel in panels for line in panel.lines}
    drawn = [_value(value) for value in column_values if _value(value) in lines]
    figure.legend(
        [lines[label] for label in drawn],
        [f"{_name(across)} = {label}" for label in drawn],
        loc="outside lower right", ncols=5, frameon=False, handlelength=2.2, columnspacing=1.0,
    )  # fmt: skip
    return panels


def _frame_expected(axes: Axes, rows: Sequence[Any], columns: Sequence[Any], expected: Expected) -> None:
    """Draw a line around the combinations that are expected to pass the threshold."""
    inside = {
        (column, row)
        for column, across in enumerate(columns)
        for row, down in enumerate(rows)
        if expected(down, across)
    }  # fmt: skip
    for column, row in inside:
        for x, y in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            if (column + x, row + y) not in inside:
                across = [column + x / 2] * 2 if x else [column - 0.5, column + 0.5]
                down = [row + y / 2] * 2 if y else [row - 0.5, row + 0.5]
                axes.plot(across, down, color="black", linewidth=1.8, solid_capstyle="projecting", clip_on=False)


def _draw_curve(axes: Axes, runs: pd.DataFrame, look: Any, label: str, last: float) -> None:
    """Draw a survival curve, up to the end of the longest run where all have passed."""
    curve = survival_curve(runs["emerged"].tolist(), runs["emerged_observed"].astype(bool).tolist())
    tokens, share = [*curve["tokens"], last], [*curve["share"], curve["share"].iloc[-1]]
    axes.step(tokens, share, where="post", color=look.colour, linestyle=look.line, label=label, linewidth=1.3)


def _colour(value: float) -> tuple[float, float, float, float]:
    from matplotlib import colormaps

    return colormaps[SEQUENTIAL](value)


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float | np.number) else str(value)


def _name(setting: str) -> str:
    return "n" if setting == "n_future" else setting.rpartition(".")[2].replace("_", " ")
