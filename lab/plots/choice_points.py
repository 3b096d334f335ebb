"""Measured weights of roles in the n-token loss against n, with the counts of the paper as lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.errors import LabError
from lab.plots.axes import figure_note, line_handles, shared_legend
from lab.plots.page import new_figure
from lab.plots.style import LOOKS, looks
from lab.plots.tables import attach_notes, describe_means
from lab.runs.names import role_label
from lab.stats.conditions import labels_of
from lab.stats.inspected import last_means

PANELS = {"loss": "weight in the loss", "gradient": "weight in the squared gradient"}


def draw_choice_points(frame: pd.DataFrame, *, by: Sequence[str] | None = None) -> tuple[Figure, pd.DataFrame]:
    """Draw the weight of each role against n, with n (n + 1) / 2 and n as lines, at the last step of each run.

    Args:
        frame: From `lab.inspect("choice-points", ...)`.
        by: Settings that distinguish conditions, separated by commas; by default all that vary.

    Returns:
        The figure, and the means with their 90 % intervals over seeds: as `condition_means`, with `n_future`.

    Raises:
        LabError: If no role has a weight, or there are more than 12 roles and conditions; also as `condition_means`.
    """
    table, found = last_means(frame, ["role", "quantity"], by)
    settings, runs = found.table.set_index("condition"), found.frame.drop_duplicates("condition")
    n_of = dict(zip(runs["condition"], runs["n_future"], strict=True))
    table["n_future"] = [int(n_of[condition]) for condition in table["condition"]]
    others = settings.drop(columns="n_future", errors="ignore")
    labels = dict(zip(others.index, labels_of(others) if len(others.columns) else [""] * len(others), strict=True))
    label = role_label(frame) or (lambda role: role)
    table["series"] = [
        f"{label(role)}{', ' * bool(labels[condition])}{labels[condition]}"
        for role, condition in zip(table["role"], table["condition"], strict=True)
    ]
    drawn = table[table["quantity"].isin(PANELS) & table["mean"].notna()]
    if drawn.empty:
        raise LabError("no role has a weight: everything that is predicted is certain")
    figure = new_figure(7.2, 3.6)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (quantity, words) in zip(panels, PANELS.items(), strict=True):
        _draw(axes, drawn[drawn["quantity"] == quantity], list(drawn["series"].unique()))
        axes.set_title(words, fontsize="small")
    panels[0].set_ylabel("weight relative to n = 1")
    shared_legend(figure, line_handles(panels))
    figure_note(figure, [describe_means(drawn), *found.notes])
    return figure, attach_notes(table, found)


def _draw(axes: Axes, rows: pd.DataFrame, series: Sequence[str]) -> None:
    most = max(2, int(rows["n_future"].max()) if len(rows) else 2)
    n = np.linspace(1, most, 100)
    axes.plot(n, n * (n + 1) / 2, color="#777777", linewidth=1.0, zorder=1)
    axes.plot(n, n, color="#777777", linewidth=1.0, linestyle=(0, (6, 3)), zorder=1)
    place: dict[str, Any] = {"textcoords": "offset points", "fontsize": "small", "color": "#555555", "va": "center"}
    axes.annotate("n(n+1)/2", (most, most * (most + 1) / 2), (8, 0), **place)
    axes.annotate("n", (most, most), (8, 0), **place)
    for number, (name, look) in enumerate(looks(series).items()):
        own = rows[rows["series"] == name]
        shift = 0.07 * (number - (min(len(series), len(LOOKS)) - 1) / 2)
        options: dict[str, Any] = {**look.options, "linestyle": "none", "markersize": 5}
        axes.plot(own["n_future"] + shift, own["mean"], **options, label=name)
        axes.vlines(own["n_future"] + shift, own["low"], own["high"], color=look.colour, linewidth=1.2)
    axes.set_xticks(range(1, most + 1))
    axes.set_xlim(0.7, most + 0.3)
    axes.set_xlabel("n, prediction heads")
