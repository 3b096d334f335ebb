"""Accuracy of linear probes for the next tokens, against the offset of the token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lab.errors import LabError
from lab.plots.axes import figure_note, line_handles, shared_legend
from lab.plots.page import columns_of, new_figure
from lab.plots.panels import LINES_AT_MOST, reject_more
from lab.plots.probe import CONTROLS, site_label
from lab.plots.style import LOOKS, looks
from lab.plots.tables import attach_notes, describe_means
from lab.stats.inspected import last_means

_LIGHTEST = 0.85
"""Of the colours of layers, which grow darker with depth, in grey as well."""
Styles = Mapping[str, Mapping[str, Any]]
"""Arguments of `Axes.plot` by the value of a column."""


def draw_offsets(frame: pd.DataFrame, *, by: Sequence[str] | None = None, layer: str = "") -> tuple[Figure, pd.DataFrame]:
    """Draw the accuracy of probes against the offset of the probed token, at the last step of each run.

    Args:
        frame: From `lab.inspect("offsets", ...)`.
        by: Settings that distinguish conditions, separated by commas; by default all that vary.
        layer: Depth of the layer at which conditions are compared, a line for each; by default a line for each layer on the
            next-token path, in a panel for each condition.

    Returns:
        The figure, and the means that it shows with their 90 % intervals over seeds.

    Raises:
        LabError: For a layer that no network has, too many conditions, and as `condition_means`.
    """
    path = frame[~frame["site"].str.startswith("prediction.") | (frame["site"] == "prediction.1.residual")]
    means = last_means(path, ["site", "layer", "offset", "control"], by)
    table, names = means.table.drop(columns="step"), list(means.conditions.table["condition"])
    styles: Styles
    if layer:
        known = sorted(set(table["layer"].astype(str)), key=int)
        if layer not in known:
            raise LabError(f"layer must be one of {', '.join(known)}, not {layer!r}")
        table = table[table["layer"] == int(layer)]
        column, styles = "condition", {str(name): look.options for name, look in looks(names).items()}
        panels = {f"layer {layer} of the next-token path": table}
    else:
        reject_more(means.conditions, LINES_AT_MOST, f"{LINES_AT_MOST} panels")
        column, styles = "site", _layer_styles(table)
        panels = {str(name): table[table["condition"] == name] for name in names}
    figure = _draw_panels(panels, column, styles, titled=bool(layer) or len(panels) > 1)
    what = "linear probes for the token i positions later, in the states before a scored token"
    best = "controls: mean of the conditions" if layer else "controls: at their best layer"
    figure_note(figure, [f"{what}; {describe_means(table, 'band')}; {best}", *means.conditions.notes])
    return figure, attach_notes(table, means.conditions)


def _draw_panels(panels: Mapping[str, pd.DataFrame], column: str, styles: Styles, *, titled: bool) -> Figure:
    """Draw a panel for each table by its title, with one legend below."""
    columns = columns_of(len(panels), 2 if len(panels) in (2, 4) else 3)
    lines = -(-len(panels) // columns)
    figure = new_figure(4.6, 3.1) if len(panels) == 1 else new_figure(0.9 + 2.4 * columns, 1.0 + 2.1 * lines)
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for number, (title, rows) in enumerate(panels.items()):
        axes = grid.flat[number]
        _draw_lines(axes, rows, column, styles)
        if titled:
            axes.set_title(title, fontsize="small")
        if number + columns >= len(panels):
            axes.set_xlabel("offset i (tokens ahead)")
            axes.tick_params(labelbottom=True)
        if number % columns == 0:
            axes.set_ylabel("accuracy of the probe")
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    shared_legend(figure, line_handles(grid.flat[: len(panels)]))
    return figure


def _layer_styles(table: pd.DataFrame) -> Styles:
    """Return a colour and a marker for each state, darker with depth."""
    sites = list(table.sort_values("layer", kind="stable")["site"].unique())
    colours = colormaps["viridis"]
    depth = max(len(sites) - 1, 1)
    return {
        site: {"color": colours(_LIGHTEST * (1 - place / depth)), "marker": LOOKS[place % len(LOOKS)].marker}
        for place, site in enumerate(sites)
    }


def _draw_lines(axes: Axes, rows: pd.DataFrame, column: str, styles: Styles) -> None:
    """Draw a line for each value of a column, and the controls."""
    own = rows[rows["control"] == "none"]
    for name, style in styles.items():
        line = own[own[column] == name].sort_values("offset")
        if len(line):
            axes.plot(line["offset"], line["mean"], label=site_label(name) if column == "site" else name, **style, markersize=4)
            axes.fill_between(line["offset"], line["low"], line["high"], color=style["color"], alpha=0.18, linewidth=0)
    for control, dashes in CONTROLS.items():
        by_offset = rows[rows["control"] == control].groupby("offset")["mean"]
        values = by_offset.max() if column == "site" else by_offset.mean()
        axes.plot(values.index, values, label=control, color="#777777", linestyle=dashes, linewidth=1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(0, 1.02)
