"""Errors of completed answers: the first error by position, and its consequences as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lab.plots.axes import figure_note, figure_of, line_handles, shared_legend
from lab.plots.page import columns_of, current_page, new_figure
from lab.plots.style import Look, looks
from lab.plots.tables import attach_notes, describe_means
from lab.stats.inspected import last_means

BARS = {
    "any error": "answers\nwith an error",
    "any error, choices forced": "the same,\nchoices forced",
    "consistent after error": "tokens after it\nconsistent",
    "right continuation": "wrong path\nfollowed rightly",
    "exposure gap": "accuracy lost on\nown prefixes",
}
"""The quantities drawn as bars, with their labels."""


_LEAST_BAR = 0.28
"""Width of a bar that has room for its value, inches of a notebook's figure."""


def draw_derailing(frame: pd.DataFrame, *, by: Sequence[str] | None = None) -> tuple[Figure, pd.DataFrame]:
    """Draw the share of first errors by position, and consequences of errors as bars, at the last step of each run.

    Args:
        frame: From `lab.inspect("derailing", ...)`.
        by: Settings that distinguish conditions, separated by commas; by default all that vary.

    Returns:
        The figure, and the means with their 90 % intervals over seeds, as `condition_means`.

    Raises:
        LabError: If there are more than 12 conditions; also as `condition_means`.
    """
    table, found = last_means(frame, ["quantity", "role", "position"], by)
    shown = looks(found.table["condition"])
    beside = columns_of(2, 2, panel=3.7, least=3.0) == 2
    figure = new_figure(8.4, 3.3) if beside else new_figure(4.6, 6.4)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.5]) if beside else figure.subplots(2, 1)
    _draw_positions(left, table[(table["quantity"] == "first error") & (table["position"] >= 0)], shown)
    _draw_bars(right, table[table["position"] < 0], shown)
    lines, bars = line_handles([left]), line_handles([right])
    shared_legend(figure, {label: (bars[label], lines[label]) for label in bars})
    figure_note(figure, [describe_means(table), *found.notes])
    return figure, attach_notes(table, found)


def _draw_positions(axes: Axes, rows: pd.DataFrame, shown: dict[object, Look]) -> None:
    for name, look in shown.items():
        own = rows[rows["condition"] == name].sort_values("position")
        axes.plot(own["position"], own["mean"], label=str(name), markersize=4, **look.options)
        axes.fill_between(own["position"], own["low"], own["high"], color=look.colour, alpha=0.18, linewidth=0)
    axes.set_xlabel("position in the answer, tokens")
    axes.set_ylabel("share of tokens that are the first error,\nof those without one before")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0)


def _draw_bars(axes: Axes, rows: pd.DataFrame, shown: dict[object, Look]) -> None:
    """Draw a group of bars for each quantity that the frame has, a bar for each condition."""
    rows = rows[rows["role"] == "all"]
    present = [quantity for quantity in BARS if (rows["quantity"] == quantity).any()]
    width = 0.8 / len(shown)
    for number, (name, look) in enumerate(shown.items()):
        own = rows[rows["condition"] == name].drop_duplicates("quantity").set_index("quantity").reindex(present)
        places = np.arange(len(present)) + width * (number - (len(shown) - 1) / 2)
        hatch = ("", "///", "...", "xx", "\\\\\\", "++")[number % 6]
        options: dict[str, Any] = {"facecolor": (look.colour, 0.3), "edgecolor": look.colour, "hatch": hatch, "linewidth": 1.0}
        axes.bar(places, own["mean"], 0.92 * width, label=str(name), **options)
        axes.vlines(places, own["low"], own["high"], color="#222222", linewidth=1.2)
        room = figure_of(axes).get_figwidth() * (0.6 if figure_of(axes).get_figwidth() > 5 else 1.0) / current_page().scale
        if room < _LEAST_BAR * len(shown) * len(present):
            continue
        for place, mean, top in zip(places, own["mean"], own[["mean", "high"]].max(axis=1), strict=True):
            if not np.isnan(mean):
                axes.annotate(
                    f"{mean:.2f}", (place, max(top, 0)), (0, 2), textcoords="offset points", ha="center", fontsize="small"
                )
    axes.axhline(0, color="#222222", linewidth=0.8)
    axes.margins(y=0.1)
    axes.set_xticks(range(len(present)), [BARS[quantity] for quantity in present], fontsize="small")
    axes.set_ylabel("share")
    axes.grid(visible=False, axis="x")
