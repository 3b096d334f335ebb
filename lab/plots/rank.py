"""Effective rank of the residual stream by layer."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.plots.axes import figure_of, legend_below, new_axes, note
from lab.plots.style import looks
from lab.plots.tables import attach_notes, describe_means
from lab.stats.inspected import last_means


def draw_rank(frame: pd.DataFrame, *, by: Sequence[str] | None = None, axes: Axes | None = None) -> tuple[Figure, pd.DataFrame]:
    """Draw the effective rank of the residual stream against the depth of the layer, at the last step of each run.

    Args:
        frame: From `lab.inspect("rank", ...)`.
        by: Settings that distinguish conditions, separated by commas; by default all that vary.
        axes: Where to draw; by default a new figure's.

    Returns:
        The figure, and the means with their 90 % intervals over seeds.

    Raises:
        LabError: As `condition_means`.
    """
    table, found = last_means(frame, ["site", "layer"], by)
    axes = axes or new_axes()
    names = list(found.table["condition"])
    for name, look in looks(names).items():
        rows = table[table["condition"] == name]
        trunk = rows[~rows["site"].str.startswith("prediction.") | (rows["site"] == "prediction.1.residual")]
        axes.plot(trunk["layer"], trunk["mean"], label=name, **look.options)
        axes.fill_between(trunk["layer"], trunk["low"], trunk["high"], color=look.colour, alpha=0.18, linewidth=0)
    axes.set_xticks(range(int(table["layer"].max()) + 1))
    axes.set_xlabel("layers computed on the next-token path (0: embedding)")
    axes.set_ylabel("effective rank of the states (directions)")
    axes.set_ylim(bottom=0)
    legend_below(axes)
    note(axes, describe_means(table, "band"), *found.notes)
    return figure_of(axes), attach_notes(table, found)
