"""The gain of drafts by prediction heads in decoding: tokens per forward pass, and wall time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from lab.errors import LabError
from lab.plots.acceptance import COORDINATES
from lab.plots.axes import figure_note, line_handles, shared_legend
from lab.plots.page import columns_of, new_figure
from lab.plots.panels import reject_more
from lab.plots.style import Look, looks
from lab.plots.tables import attach_notes, describe_means
from lab.stats.inspected import last_means

_MOST = 3
"""Conditions in a figure."""


def speedup(frame: pd.DataFrame, *, by: Sequence[str] | None = None) -> tuple[Figure, pd.DataFrame]:
    """Draw tokens per forward pass and the speed-up in wall time against head 1 alone, by heads used and batch size.

    Args:
        frame: Of `lab.evaluation.decoded_runs.time_runs`, or of `lab.evaluation.decode.time_decoding`.
        by: Settings that distinguish conditions, by default all that vary; each has a panel of batch sizes.

    Returns:
        The figure, and the means with their 90 % intervals over seeds.

    Raises:
        LabError: If the frame has no speed-up, or there are more than 3 conditions.
    """
    rows = frame[frame["metric"].isin(["speedup", "tokens_per_forward"])]
    if not (rows["metric"] == "speedup").any():
        raise LabError("the frame has no metric 'speedup': time decoding first")
    table, found = last_means(rows, COORDINATES, by)
    reject_more(found, _MOST, f"{_MOST} panels")
    names = list(found.table["condition"])
    columns = columns_of(1 + len(names), 1 + len(names), panel=2.7, least=1.9)
    high = -(-(1 + len(names)) // columns)
    figure = new_figure(1.0 + 2.7 * columns, 0.7 + 2.4 * high)
    panels = list(figure.subplots(high, columns, squeeze=False, sharey=True).flat)
    for panel in panels[1 + len(names) :]:
        panel.remove()
    for panel in panels[::columns]:
        panel.set_ylabel("ratio to head 1 alone")
    used = [heads for heads in sorted(table["heads"].unique()) if heads > 1]
    look = looks([*names, *used])
    _draw_heads(panels[0], table, {name: look[name] for name in names})
    panels[0].set_title("by heads used", fontsize="small")
    for axes, name in zip(panels[1:], names, strict=False):
        _draw_batches(axes, table[(table["condition"] == name) & (table["metric"] == "speedup")], look)
        axes.set_title(f"speed-up by batch size{f', {name}' if len(names) > 1 else ''}", fontsize="small")
    shared_legend(figure, line_handles(figure.axes))
    lines = [f"{describe_means(table, 'band')}; greedy, against head 1 alone with the same cache"]
    figure_note(figure, [*lines, *found.notes])
    return figure, attach_notes(table, found)


def _draw_heads(axes: Axes, table: pd.DataFrame, shown: Mapping[str, Look]) -> None:
    """Draw tokens per forward, of most sequences, and the speed-up of one sequence at a time, against the heads used."""
    heads = sorted(table["heads"].unique())
    axes.plot(heads, heads, color="#777777", linewidth=0.9, linestyle=(0, (1, 2)), label="every draft accepted")
    for name, look in shown.items():
        own = table[table["condition"] == name]
        counted, timed = own[own["metric"] == "tokens_per_forward"], own[own["metric"] == "speedup"]
        counted, timed = counted[counted["batch"] == counted["batch"].max()], timed[timed["batch"] == timed["batch"].min()]
        for rows, words, line in ((counted, "tokens per forward", "-"), (timed, "speed-up, batch 1", "--")):
            part = rows.sort_values("heads")
            label = f"{words}, {name}" if len(shown) > 1 else words
            axes.plot(part["heads"], part["mean"], label=label, **(look.options | {"linestyle": line}), markersize=4)
            axes.fill_between(part["heads"], part["low"], part["high"], color=look.colour, alpha=0.15, linewidth=0)
    axes.set_xticks(heads)
    axes.set_xlabel("prediction heads used")


def _draw_batches(axes: Axes, rows: pd.DataFrame, look: Mapping[object, Look]) -> None:
    """Draw the speed-up against the batch size, a line for each number of heads used."""
    used = [heads for heads in sorted(rows["heads"].unique()) if heads > 1]
    for heads in used:
        part = rows[rows["heads"] == heads].sort_values("batch")
        axes.plot(part["batch"], part["mean"], label=f"{heads} heads", markersize=4, **look[heads].options)
        axes.fill_between(part["batch"], part["low"], part["high"], color=look[heads].colour, alpha=0.15, linewidth=0)
    axes.axhline(1, color="#777777", linewidth=0.8, zorder=1)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(sorted(rows["batch"].unique())))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("sequences at a time")
