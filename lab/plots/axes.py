"""Helpers of all figures: new axes, logarithmic axes, notes, legends, and labels of metrics."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FixedLocator, FuncFormatter, NullFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation

from lab.errors import LabError
from lab.metrics import Metric
from lab.plots.page import arrange_header, current_page, grow, new_figure
from lab.runs.names import role_label

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
"""The x-axes of curves: the frame's column and the label."""
_UNITS = ((2 * 3600.0, 3600.0, "hours"), (120.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))
"""Units of wall time: the least number of seconds for the unit, its length in seconds, its name."""
_NOTE: dict[str, Any] = {"loc": "left", "color": "#555555", "fontsize": "small"}
_NOTE_CHARACTERS = 17.0
"""Characters of a note in an inch of a notebook's figure."""
_ENTRY, _CHARACTER = 5.8, 0.6
"""Width of an entry of a legend without its text, and of a character, in ems."""


def new_axes(width: float = 4.6, height: float = 3.1) -> Axes:
    """Create axes on a new figure of this size in inches."""
    return new_figure(width, height).add_subplot()


def figure_of(axes: Axes) -> Figure:
    """Return the figure of some axes.

    Raises:
        LabError: If they have none.
    """
    figure = axes.get_figure(root=True)
    if figure is None:
        raise LabError("the axes have no figure")
    return figure


def note(axes: Axes, *lines: str) -> None:
    """Write small lines above all of a figure with one panel, or above one of several panels, wrapped at the width.

    Args:
        axes: The axes.
        lines: Description of the figure and of the runs left out.
    """
    figure = figure_of(axes)
    if figure.axes == [axes] and figure.get_layout_engine() is not None:
        figure_note(figure, lines)
        return
    spec = axes.get_subplotspec()
    columns = 1 if spec is None else spec.get_gridspec().ncols
    axes.set_title(wrap(lines, figure.get_figwidth() / columns - 0.8), **_NOTE)


def figure_note(figure: Figure, lines: Sequence[str]) -> None:
    """Write small lines above all panels of a figure."""
    figure.suptitle(wrap(lines, figure.get_figwidth() - 0.1))
    arrange_header(figure)


def wrap(lines: Iterable[str], inches: float) -> str:
    """Wrap the lines of a note at a width."""
    characters = max(30, int(inches * _NOTE_CHARACTERS / current_page().scale))
    return "\n".join(part for line in lines for part in textwrap.wrap(line, characters))


def legend_below(axes: Axes) -> None:
    """Draw a legend below the label of the x-axis; a figure without other axes grows by its height."""
    labels = axes.get_legend_handles_labels()[1]
    if not labels:
        return
    figure = figure_of(axes)
    columns = legend_columns(labels, figure.get_figwidth() / max(1, len(figure.axes)) - 0.6)
    points = (15 + (10 if axes.get_xlabel() else 0) + 10) * current_page().scale
    anchor = axes.transAxes + ScaledTranslation(0, -points / 72, figure.dpi_scale_trans)
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0, 0), "bbox_transform": anchor, "borderaxespad": 0}
    axes.legend(**place, ncols=columns, handlelength=3, frameon=False, borderpad=0)
    if len(figure.axes) == 1:
        grow(figure, -(-len(labels) // columns))


def shared_legend(figure: Figure, handles: Mapping[str, Any]) -> None:
    """Draw one legend of several panels below them; the figure grows by its height.

    Args:
        figure: The figure.
        handles: What is drawn by its label, as `line_handles` returns it.
    """
    columns = legend_columns(list(handles), figure.get_figwidth())
    figure.legend(handles.values(), handles.keys(), loc="outside lower left", ncols=columns, handlelength=3, frameon=False)
    grow(figure, -(-len(handles) // columns))


def line_handles(panels: Iterable[Axes]) -> dict[str, Any]:
    """Return the handles of all labelled lines of some panels by label, each label once."""
    return {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}


def legend_columns(labels: Sequence[str], inches: float) -> int:
    """Return the number of columns of a legend that fit into a width and are filled evenly."""
    page = current_page()
    ems = inches * 72 / (page.font / 1.2)
    longest = _ENTRY + _CHARACTER * max(len(page.labels.get(label, label)) for label in labels)
    fit = int(np.clip((ems + 1) // longest, 1, len(labels)))
    return -(-len(labels) // -(-len(labels) // fit))


def reference(axes: Axes, lines: Mapping[str, float]) -> None:
    """Draw reference values as thin dashed lines with their names at the right edge."""
    for name, value in lines.items():
        axes.axhline(value, color="#777777", linewidth=0.8, linestyle=(0, (6, 3)), zorder=1)
        place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "va": "center"}
        axes.annotate(name, (1, value), (3, 0), **place, color="#555555", fontsize="small", annotation_clip=False)


def log_axis(axes: Axes, label: str, values: pd.Series) -> None:
    """Make the x-axis logarithmic, with ticks that do not overlap; seconds of wall time are in a suitable unit.

    A few values that are well separated are themselves the ticks.
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
    label = Metric.parse(metric).axis_label(role_label(frame)).replace("(next token)", "(next\N{NO-BREAK SPACE}token)")
    return textwrap.fill(label, width).replace("\N{NO-BREAK SPACE}", " ")


def count(value: float) -> str:
    """Return a count to three digits, as `195k`."""
    return str(EngFormatter(sep="")(round_significant(value, 3)))


def round_significant(value: float, digits: int) -> float:
    """Round a number to some significant digits."""
    return float(f"{value:.{digits}g}")
