"""What each prediction head's loss, and the targets of each role, ask of the trunk, against tokens seen."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.errors import LabError
from lab.plots.arms import with_arms
from lab.plots.curves import band_table, draw_band, finish
from lab.plots.style import Look, looks


class Panel(NamedTuple):
    """What a row of panels shows.

    Attributes:
        label: Of its axis.
        metric: Pattern of the metrics that it draws; its group says of what.
        line: What a line is called, with the group in it.
        scale: Of its axis.
        limits: Of its axis; None for those of the numbers.
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


def gradients(frame: pd.DataFrame, *, by: Sequence[str] = ("n_future",)) -> tuple[Axes, pd.DataFrame]:
    """Norm of each prediction head's gradient at the trunk's output, its cosine with the next-token head's, shares of roles.

    Args:
        frame: A tidy frame of runs with `evaluation.gradient_audit`.
        by: Columns that tell arms apart; each arm has a column of panels.

    Returns:
        The first panel's axes, and the numbers of all: those of `band_table` and the `line` that each is of. A row of panels
        for which the runs have no metric is left out: shares where targets have several roles, cosines of one head alone.

    Raises:
        LabError: If no run has been audited.
    """
    metrics = list(frame["metric"].unique()) if len(frame) else []
    names = {panel: _names(panel, metrics) for panel in PANELS}
    shown = [panel for panel in PANELS if names[panel]]
    if not shown:
        raise LabError("no run has a metric 'gradient/trunk/1': train with evaluation.gradient_audit")
    named = {metric: name for panel in shown for metric, name in names[panel].items()}
    table = band_table(with_arms(frame, by), list(named), "arm")
    table["line"] = table["metric"].map(named)
    same = {kind: looks(sorted({name for name in named.values() if name.startswith(kind)})) for kind in ("head", "role")}
    arms = list(table["arm"].unique())
    figure = Figure(figsize=(0.8 + 3.4 * len(arms), 2.6 * len(shown)), layout="constrained")
    grid = figure.subplots(len(shown), len(arms), squeeze=False, sharey="row")
    for row, panel in zip(grid, shown, strict=True):
        inside = table[table["metric"].isin(names[panel])]
        first_arm = inside["arm"].iloc[0]
        for axes, arm in zip(row, arms, strict=True):
            _panel(axes, inside[inside["arm"] == arm], same["head"] | same["role"], panel.label if arm == first_arm else "")
            axes.tick_params(labelleft=bool(arm == first_arm))
        row[0].autoscale(axis="y")  # a row shares its scale
        row[0].set_yscale(panel.scale)
        row[0].set_ylim(panel.limits)
    first: Axes = grid[0, 0]
    return first, table


def _names(panel: Panel, metrics: Sequence[str]) -> dict[str, str]:
    """What a panel calls the metrics that it draws."""
    found = {metric: re.fullmatch(panel.metric, metric) for metric in metrics}
    return {metric: panel.line.format(match[1]) for metric, match in found.items() if match}


def _panel(axes: Axes, rows: pd.DataFrame, same: Mapping[object, Look], label: str) -> None:
    if rows.empty:
        axes.set_axis_off()  # one head alone agrees with nobody
        return
    for name, curve in rows.groupby("line"):
        draw_band(axes, curve, same[name], str(name))
    finish(axes, rows, label)
    axes.set_title(str(rows["arm"].iloc[0]), loc="right")
