"""What each prediction head's loss asks of the trunk, against tokens seen."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.errors import LabError
from lab.plots.arms import with_arms
from lab.plots.curves import band_table, draw_band, finish
from lab.plots.style import Look, looks

PANELS = {
    "gradient's norm\nat the trunk's output": r"gradient/trunk/(\d+)",
    "cosine with the next-token\nhead's gradient there": r"gradient/cosine/trunk/1/(\d+)",
}
"""What the panels show, from above, and the metrics that they draw: the group is the prediction head."""


def gradients(frame: pd.DataFrame, *, by: Sequence[str] = ("n_future",)) -> tuple[Axes, pd.DataFrame]:
    """Norm of each prediction head's gradient at the trunk's output and, below, its cosine with the next-token head's.

    Args:
        frame: A tidy frame of runs with `evaluation.gradient_audit`.
        by: Columns that tell arms apart; each arm has a column of panels.

    Returns:
        The first panel's axes, and the numbers of all: those of `band_table` and the prediction `head` that each is of.

    Raises:
        LabError: If no run has been audited.
    """
    metrics = list(frame["metric"].unique()) if len(frame) else []
    drawn = [metric for metric in metrics if any(re.fullmatch(pattern, metric) for pattern in PANELS.values())]
    if not drawn:
        raise LabError("no run has a metric 'gradient/trunk/1': train with evaluation.gradient_audit")
    table = band_table(with_arms(frame, by), drawn, "arm")
    table["head"] = table["metric"].str.rpartition("/")[2].astype(int)
    arms = list(table["arm"].unique())
    figure = Figure(figsize=(0.8 + 3.4 * len(arms), 5.2), layout="constrained")
    grid = figure.subplots(len(PANELS), len(arms), squeeze=False, sharey="row")
    heads = looks(sorted(table["head"].unique()))
    for row, (label, pattern) in zip(grid, PANELS.items(), strict=True):
        inside = table[table["metric"].str.fullmatch(pattern)]
        for axes, arm in zip(row, arms, strict=True):
            _panel(axes, inside[inside["arm"] == arm], heads, label if arm == arms[0] else "")
            axes.set_title(str(arm), loc="right")
    grid[0, 0].autoscale(axis="y")
    grid[0, 0].set_yscale("log")  # rows share their scale
    grid[1, 0].set_ylim(-1.05, 1.05)
    first: Axes = grid[0, 0]
    return first, table


def _panel(axes: Axes, rows: pd.DataFrame, heads: dict[object, Look], label: str) -> None:
    if rows.empty:
        axes.set_axis_off()  # one head alone agrees with nobody
        return
    for head, curve in rows.groupby("head"):
        draw_band(axes, curve, heads[head], f"head {head}")
    finish(axes, rows, label)
