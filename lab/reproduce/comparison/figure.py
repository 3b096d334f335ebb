"""The figure of a study that compares conditions: a panel for each family, a row for each condition, a dot for each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.plots.page import new_figure
from lab.reproduce.comparison.configuration import Family
from lab.reproduce.comparison.plan import CONDITION, FAMILY
from lab.reproduce.comparison.tables import times_of
from lab.stats.bootstrap import bootstrap_interval
from lab.stats.configurations import run_values

DARK, LIGHT, STRIPE = "#000000", "#D55E00", "#F2F2F2"
ACROSS = {1: 1, 2: 2, 4: 2}
"""Panels side by side, by the number of families; of other numbers three."""
TIMES = "Dots: a run escapes. Bars: the median run. Open triangles: not within the run."
ENDS = "Dots: a run at its end. Bars: means; lines: their 90 % bootstrap intervals over seeds."


def draw(families: Mapping[str, Family], frame: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Draw when each run escaped its plateau, or, in families without one, its value at the end.

    Args:
        families: The families, by name.
        frame: The study's frame, of one family or several.

    Returns:
        The figure, and its numbers: `family`, `condition`, `run`, `seed`, and `escaped` in tokens with `escaped_observed`, or
        `value`.
    """
    names, numbers = list(dict.fromkeys(frame[FAMILY])), []
    first: dict[str, Axes] = {}  # panel of each label, whose range the others share
    columns = ACROSS.get(len(names), 3)
    rows = [names[start : start + columns] for start in range(0, len(names), columns)]
    heights = [max(len(families[name].conditions) for name in row) for row in rows]
    figure = new_figure(1.6 + 2.9 * columns, 0.4 + sum(0.95 + 0.27 * height for height in heights))
    figure.set_layout_engine("constrained", wspace=0.08)  # room for the counts at the right of each panel
    panels = figure.subplots(len(rows), columns, squeeze=False, height_ratios=[3 + height for height in heights])
    for row, panels_of_row in zip(rows, panels, strict=True):
        for axes in panels_of_row[len(row) :]:
            axes.set_visible(False)
        before: list[str] = []
        for name, axes in zip(row, panels_of_row, strict=False):
            family, own = families[name], frame[frame[FAMILY] == name]
            conditions = list(family.conditions)
            if family.escaped is None:
                values = run_values(own, family.metric)[[CONDITION, "run", "seed", "value"]]
                if family.label in first:
                    axes.sharex(first[family.label])
                first.setdefault(family.label, axes)
                draw_ends(axes, conditions, values)
                axes.set_xlabel(f"{family.label}, at the end")
            else:
                values = times_of(family, own)[[CONDITION, "run", "seed", "escaped", "escaped_observed"]]
                draw_times(axes, conditions, values)
            axes.set_yticks(range(len(conditions)), [""] * len(conditions) if conditions == before else conditions)
            before = conditions
            axes.set_title(name, loc="left")
            numbers.append(values.assign(**{FAMILY: name}))
    notes = [TIMES] * any(families[name].escaped is not None for name in names)
    notes += [ENDS] * any(families[name].escaped is None for name in names)
    figure.supxlabel("\n".join(notes), fontsize="small")
    table = pd.concat(numbers, ignore_index=True)
    return figure, table[[FAMILY, *(column for column in table.columns if column != FAMILY)]]


def draw_times(axes: Axes, conditions: Sequence[str], times: pd.DataFrame) -> None:
    """Draw when each run of each condition escaped, in millions of tokens, a row for each condition."""
    _prepare(axes, len(conditions))
    for row, name in enumerate(conditions):
        part = times[times[CONDITION] == name]
        if part.empty:
            continue
        seen = part["escaped_observed"].to_numpy(bool)
        tokens = part["escaped"].to_numpy(float) / 1e6
        heights = _spread(row, len(part))
        axes.plot(tokens[seen], heights[seen], "o", color=DARK, markersize=3.5, linestyle="none")
        axes.plot(tokens[~seen], heights[~seen], ">", color=LIGHT, markersize=4.5, linestyle="none", fillstyle="none")
        if seen.sum() * 2 >= len(part):  # as in `time_table`
            median = np.sort(np.where(seen, tokens, np.inf))[(len(part) - 1) // 2]
            axes.plot([median, median], [row - 0.38, row + 0.38], color=DARK, linewidth=1.6)
        axes.text(1.02, row, f"{seen.sum()}/{len(part)}", transform=axes.get_yaxis_transform(), va="center", fontsize="small")
    axes.set_xlabel("million tokens until the escape")
    last = times["escaped"].max() / 1e6
    axes.set_xlim(-0.02 * last, 1.05 * last)  # markers at both ends are whole


def draw_ends(axes: Axes, conditions: Sequence[str], values: pd.DataFrame) -> None:
    """Draw the value of each run at its end, and the mean of each condition with its interval, a row for each condition."""
    _prepare(axes, len(conditions))
    for row, name in enumerate(conditions):
        each = values.loc[values[CONDITION] == name, "value"].to_numpy(float)
        interval = bootstrap_interval(each)
        axes.plot(each, _spread(row, len(each)), "o", color=DARK, markersize=3, linestyle="none", fillstyle="none")
        axes.plot([interval.low, interval.high], [row, row], color=LIGHT, linewidth=1.6)
        axes.plot([interval.mean, interval.mean], [row - 0.38, row + 0.38], color=LIGHT, linewidth=1.6)


def _prepare(axes: Axes, rows: int) -> None:
    """Draw stripes behind every second row and set the limits."""
    for row in range(1, rows, 2):
        axes.axhspan(row - 0.5, row + 0.5, color=STRIPE, zorder=0)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def _spread(row: int, runs: int) -> np.ndarray:
    """Return the heights of a condition's runs around its row, (runs,)."""
    return row + np.linspace(-0.28, 0.28, runs)
