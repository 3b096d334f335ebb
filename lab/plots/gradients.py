"""Gradients of each prediction head's loss and of each role at the trunk's output, against tokens seen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.errors import LabError
from lab.plots.axes import figure_note, line_handles
from lab.plots.curves import band_note, bands, draw_band, finish
from lab.plots.page import new_figure
from lab.plots.panels import LINES_AT_MOST, reject_more
from lab.plots.style import Look, looks
from lab.plots.tables import attach_notes
from lab.stats.conditions import conditions


class Panel(NamedTuple):
    """The content of a row of panels.

    Attributes:
        label: Label of the y-axis.
        metric: Pattern of the metrics; its group is the head or the role.
        line: Label of a line; `{}` is the group.
        scale: Scale of the y-axis.
        limits: Limits of the y-axis; None for those of the numbers.
    """

    label: str
    metric: str
    line: str
    scale: str = "linear"
    limits: tuple[float, float] | None = None


PANELS = (
    Panel("gradient's norm\nat the trunk's output", r"gradient/trunk/(\d+)", "head {}", "log"),
    Panel(
        "cosine with the next-token\nhead's gradient there", r"gradient/cosine/trunk/1/(\d+)", "head {}", limits=(-1.05, 1.05)
    ),
    Panel("share of the whole objective's\ngradient there", r"gradient/share/(.+)/all", "role {}"),
)


def gradients(frame: pd.DataFrame, *, by: Sequence[str] | None = None) -> tuple[Figure, pd.DataFrame]:
    """Draw norms, cosines and shares by role of the heads' gradients at the trunk's output.

    Args:
        frame: A tidy frame of runs with `evaluation.measures.gradients`.
        by: Settings that distinguish conditions, by default all that vary; each condition has a column of panels.

    Returns:
        The figure, and the numbers of all: those of `band_table` and the `line` that each is of. A row of panels
        for which the runs have no metric is left out: shares where targets have several roles, cosines of one head alone.

    Raises:
        LabError: If no run has gradient diagnostics, or there are more than 6 conditions.
    """
    metrics = list(frame["metric"].unique()) if len(frame) else []
    names = {panel: _names(panel, metrics) for panel in PANELS}
    shown = [panel for panel in PANELS if names[panel]]
    if not shown:
        raise LabError("no run has a metric 'gradient/trunk/1': train with evaluation.measures.gradients")
    named = {metric: name for panel in shown for metric, name in names[panel].items()}
    found = conditions(frame[frame["metric"].isin(list(named))], by, keep="not diverged")
    reject_more(found, LINES_AT_MOST, f"{LINES_AT_MOST} columns")
    table = bands(found, list(named))
    table["line"] = table["metric"].map(named)
    same = {kind: looks(sorted({name for name in named.values() if name.startswith(kind)})) for kind in ("head", "role")}
    every = list(found.table["condition"])
    figure = new_figure(0.8 + 3.2 * len(every), 0.4 + 2.5 * len(shown))
    grid = figure.subplots(len(shown), len(every), squeeze=False, sharey="row", sharex=True)
    for row, panel in zip(grid, shown, strict=True):
        inside = table[table["metric"].isin(names[panel])]
        first = inside["condition"].iloc[0]
        for axes, condition in zip(row, every, strict=True):
            rows = inside[inside["condition"] == condition]
            _panel(axes, rows, same["head"] | same["role"], panel.label if condition == first else "")
            axes.tick_params(labelleft=bool(condition == first))
        _legend(row)
        row[0].autoscale(axis="y")  # a row shares its scale
        row[0].set_yscale(panel.scale)
        row[0].set_ylim(panel.limits)
    for column, condition in zip(grid.T, every, strict=True):
        drawn = [axes for axes in column if axes.axison]
        drawn[0].set_title(condition, loc="right")
        for axes in drawn[:-1]:
            axes.set_xlabel("")
        drawn[-1].tick_params(labelbottom=True)
    figure_note(figure, [*band_note(table), *found.notes])
    return figure, attach_notes(table, found)


def _names(panel: Panel, metrics: Sequence[str]) -> dict[str, str]:
    """Return the labels of the metrics of a panel."""
    found = {metric: re.fullmatch(panel.metric, metric) for metric in metrics}
    return {metric: panel.line.format(match[1]) for metric, match in found.items() if match}


def _panel(axes: Axes, rows: pd.DataFrame, same: Mapping[object, Look], label: str) -> None:
    if rows.empty:
        axes.set_axis_off()  # a cosine needs two heads
        return
    for name, curve in rows.groupby("line"):
        draw_band(axes, curve, same[name], str(name))
    finish(axes, rows, label)


def _legend(row: Iterable[Axes]) -> None:
    """Draw a legend of all lines in a row of panels, right of the last one that is drawn."""
    drawn = [axes for axes in row if axes.axison]
    handles = line_handles(drawn)
    place: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1, 0.5)}
    drawn[-1].legend(handles.values(), handles.keys(), **place, handlelength=2.5, frameon=False)
