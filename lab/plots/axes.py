"""What all figures share: new axes, logarithmic axes in words, notes, and legends that cover nothing."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FixedLocator, FuncFormatter, NullFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation

import tasks
from lab.errors import LabError
from lab.metrics import Metric
from tasks.errors import TaskError

TOKENS = "training tokens seen"
PARAMETERS = "non-embedding parameters"
AXES = {
    "tokens": ("tokens", TOKENS),
    "scored": ("scored_tokens", "scored training tokens"),
    "sequences": ("sequences", "training sequences"),
    "steps": ("step", "optimiser steps"),
    "flops": ("flops", "training FLOPs"),
    "seconds": ("seconds", "wall time"),
}
"""What a curve can be drawn against: the frame's column and the axis's label."""
_UNITS = ((2 * 3600.0, 3600.0, "hours"), (120.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))
"""Of wall time: from so many seconds on, of so many seconds."""
_NOTE: dict[str, Any] = {"loc": "left", "color": "#555555", "fontsize": 7.5}
_CHARACTERS = 19.5
"""Of a note or legend in an inch."""


def new_axes(width: float = 4.6, height: float = 3.1) -> Axes:
    """Axes of a new figure, inches."""
    return Figure(figsize=(width, height), layout="constrained").add_subplot()


def figure_of(axes: Axes) -> Figure:
    """The figure that axes are on.

    Raises:
        LabError: If they were taken off it.
    """
    figure = axes.get_figure(root=True)
    if figure is None:
        raise LabError("these axes are on no figure")
    return figure


def note(axes: Axes, *lines: str, above: Sequence[str] = ()) -> None:
    """Small lines above the axes, wrapped at the figure's width.

    Args:
        axes: The axes.
        lines: What the figure shows and leaves out.
        above: Lines that stand first.
    """
    spec = axes.get_subplotspec()
    columns = 1 if spec is None else spec.get_gridspec().ncols
    width = figure_of(axes).get_figwidth() / columns - 0.8
    axes.set_title(wrapped([*above, *lines], width), **_NOTE)


def figure_note(figure: Figure, lines: Sequence[str]) -> None:
    """Small lines above all panels of a figure."""
    figure.suptitle(wrapped(lines, figure.get_figwidth()), x=0.01, ha="left", fontsize=7.5, color="#555555")


def wrapped(lines: Iterable[str], inches: float) -> str:
    """Lines of a note, broken where the width ends."""
    return "\n".join(part for line in lines for part in textwrap.wrap(line, max(30, int(inches * _CHARACTERS))))


def legend_below(axes: Axes) -> None:
    """A legend below the label of the x-axis, where it covers nothing; a figure without other axes grows by its height."""
    labels = axes.get_legend_handles_labels()[1]
    if not labels:
        return
    figure = figure_of(axes)
    columns = legend_columns(labels, figure.get_figwidth() / max(1, len(figure.axes)) - 0.6)
    points = 15 + (10 if axes.get_xlabel() else 0) + 10
    anchor = axes.transAxes + ScaledTranslation(0, -points / 72, figure.dpi_scale_trans)
    axes.legend(loc="upper left", bbox_to_anchor=(0, 0), bbox_transform=anchor, ncols=columns, handlelength=3, frameon=False,
                borderaxespad=0, borderpad=0)  # fmt: skip
    if len(figure.axes) == 1:
        figure.set_figheight(figure.get_figheight() + 0.17 * -(-len(labels) // columns))


def legend_columns(labels: Sequence[str], inches: float) -> int:
    """How many columns of such labels fit side by side."""
    longest = max(map(len, labels)) + 9  # with its line
    return int(np.clip(inches * 17 // longest, 1, len(labels)))


def reference(axes: Axes, lines: Mapping[str, float]) -> None:
    """Values to read a metric against, by name: thin dashed lines with their names at the right edge."""
    for name, value in lines.items():
        axes.axhline(value, color="#777777", linewidth=0.8, linestyle=(0, (6, 3)), zorder=1)
        axes.annotate(name, (1, value), (3, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                      va="center", color="#555555", fontsize=7.5, annotation_clip=False)  # fmt: skip


def log_axis(axes: Axes, label: str, values: pd.Series) -> None:
    """A logarithmic x-axis for counts, or for seconds if the label is wall time's, with ticks that do not overlap.

    Few values that stand well apart are the ticks themselves.
    """
    unit, name = 1.0, ""
    if label == AXES["seconds"][1]:
        unit, name = next((unit, name) for least, unit, name in _UNITS if values.max() >= least)
    axes.set_xscale("log")
    low, high = float(values.min()) / unit, float(values.max()) / unit
    own = np.unique([round_significant(value, 3) for value in values / unit])
    ticks = own
    if len(own) > 6 or (len(own) > 1 and (own[1:] / own[:-1]).min() < 1.3):
        steps = (1, 2, 5) if high / low < 300 else (1,)
        marks = [step * 10.0**power for power in range(-6, 22) for step in steps]
        ticks = np.array([mark for mark in marks if 0.999 * low <= mark <= 1.001 * high])
        ticks = ticks if len(ticks) > 1 else own[[0, -1]]
    axes.xaxis.set_major_locator(FixedLocator([tick * unit for tick in ticks]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / unit:g}" if name else count(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(f"{label} ({name})" if name else label)


def metric_label(metric: str, frame: pd.DataFrame, *, width: int = 38) -> str:
    """Return a metric in words, with labels of roles from the frame's task if it has one.

    Args:
        metric: Its name in the frame.
        frame: A tidy frame; a column `task` names the task.
        width: Characters of a line.
    """
    return textwrap.fill(Metric.parse(metric).axis_label(role_label(frame)), width)


def role_label(frame: pd.DataFrame) -> Callable[[str], str] | None:
    """Return the function that labels roles of a frame's task; None where it has several, or one that cannot be imported."""
    names = list(frame["task"].unique()) if "task" in frame.columns else []
    if len(names) != 1:
        return None
    try:
        return tasks.find(names[0]).role_label
    except TaskError:
        return None


def count(value: float) -> str:
    """Return a count to three digits, as `195k`."""
    return str(EngFormatter(sep="")(round_significant(value, 3)))


def round_significant(value: float, digits: int) -> float:
    """Round a number to some significant digits."""
    return float(f"{value:.{digits}g}")
