"""Gradients of each prediction head's loss and of each role at the trunk's output, against tokens seen."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.errors import LabError
from lab.plots.axes import TOKENS, figure_note, line_handles, log_axis, shared_legend
from lab.plots.curves import band_note, bands, draw_band
from lab.plots.page import new_figure
from lab.plots.panels import LINES_AT_MOST, reject_more
from lab.plots.style import LOOKS, Look, looks
from lab.plots.tables import attach_notes
from lab.runs.names import role_label
from lab.stats.conditions import conditions


class Panel(NamedTuple):
    """The content of a row of panels.

    Attributes:
        label: Label of the y-axis.
        metric: Pattern of the metrics; its group is the head or the role.
        line: Label of a line; `{}` is the group.
        scale: Scale of the y-axis.
        limits: Limits of the y-axis; None for those of the numbers.
        missing: Why a condition has none of these metrics.
    """

    label: str
    metric: str
    line: str
    scale: str = "linear"
    limits: tuple[float, float] | None = None
    missing: str = ""


PANELS = (
    Panel("gradient's norm\nat the trunk's output", r"gradient/trunk/(\d+)", "head {}", "log"),
    Panel(
        "cosine with the next-token\nhead's gradient",
        r"gradient/cosine/trunk/1/(\d+)",
        "head {}",
        limits=(-1.05, 1.05),
        missing="one head",
    ),
    Panel("share of the objective's\ngradient there, by role", r"gradient/share/(.+)/all", "role {}", missing="one role"),
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
    same = _looks(sorted(set(named.values())))
    every = list(found.table["condition"])
    label = role_label(frame) or (lambda role: role.replace("_", " "))
    figure = new_figure(1.0 + 2.2 * len(every), 0.6 + 2.1 * len(shown))
    grid = figure.subplots(len(shown), len(every), squeeze=False, sharex=True, sharey="row")
    for row, panel in zip(grid, shown, strict=True):
        inside = table[table["metric"].isin(names[panel])]
        for axes, condition in zip(row, every, strict=True):
            _panel(axes, inside[inside["condition"] == condition], same, label, panel.missing)
        row[0].autoscale(axis="y")  # a row shares its scale
        row[0].set_yscale(panel.scale)
        row[0].set_ylim(panel.limits)
        row[0].set_ylabel(panel.label, fontsize="small")
    for axes, condition in zip(grid[0], every, strict=True):
        axes.set_title(condition, fontsize="small")
    log = table.loc[table["tokens"] > 0, "tokens"]
    for axes in grid[-1]:
        log_axis(axes, TOKENS, log)
    handles = line_handles(grid.flat)
    shared_legend(
        figure, {name: handles[name] for name in sorted(handles, key=lambda name: not name.startswith("prediction head "))}
    )
    figure_note(figure, [*band_note(table), *found.notes])
    return figure, attach_notes(table, found)


def _looks(lines: Sequence[str]) -> dict[object, Look]:
    """Assign heads and roles looks that differ; where there are too many, roles have no markers."""
    if len(lines) <= len(LOOKS):
        return looks(lines)
    heads, roles = (looks([line for line in lines if line.startswith(kind)]) for kind in ("head", "role"))
    return heads | {role: look._replace(marker="") for role, look in roles.items()}


def _names(panel: Panel, metrics: Sequence[str]) -> dict[str, str]:
    """Return the labels of the metrics of a panel."""
    found = {metric: re.fullmatch(panel.metric, metric) for metric in metrics}
    return {metric: panel.line.format(match[1]) for metric, match in found.items() if match}


def _panel(axes: Axes, rows: pd.DataFrame, same: Mapping[object, Look], label: Callable[[str], str], missing: str) -> None:
    if rows.empty:  # a cosine needs two heads, a share two roles
        axes.text(0.5, 0.5, missing, transform=axes.transAxes, ha="center", va="center", color="#555555", fontsize="small")
        return
    for name, curve in rows.groupby("line"):
        kind, _, which = str(name).partition(" ")
        words = f"prediction head {which}" if kind == "head" else label(which)
        draw_band(axes, curve, same[name], words)
