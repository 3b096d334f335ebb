"""Effects of ablations: attention heads as a heat map by layer, whole layers and their parts as bars beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lab.errors import LabError
from lab.metrics import Metric
from lab.plots.axes import figure_note
from lab.plots.cells import Scale, colour_bar, draw_cells
from lab.plots.page import new_figure
from lab.plots.panels import LINES_AT_MOST, reject_more
from lab.plots.style import LOOKS
from lab.plots.tables import attach_notes, describe_seeds
from lab.stats.inspected import last_means

_UNITS = {"loss added": "loss added, nats", "accuracy lost": "accuracy lost"}
_BARS = ("attention", "mlp", "layer", "prediction head")
_COMPARED = ("chosen", "others")


def draw_ablation(
    frame: pd.DataFrame, *, by: Sequence[str] | None = None, quantity: str = "loss added"
) -> tuple[Figure, pd.DataFrame]:
    """Draw the effect of each ablation at the last step of each run: a row of two panels for each condition.

    Args:
        frame: From `lab.inspect("ablation", ...)`.
        by: Settings that distinguish conditions, separated by commas; by default all that vary.
        quantity: `loss added` or `accuracy lost`.

    Returns:
        The figure, and the means with their 90 % intervals over seeds.

    Raises:
        LabError: For another quantity, more than 6 conditions, and as `condition_means`.
    """
    if quantity not in _UNITS:
        raise LabError(f"quantity must be one of {', '.join(_UNITS)}, not {quantity!r}")
    rows = frame[frame["quantity"] == quantity]
    table, found = last_means(rows, ["component", "site", "attention_head", "quantity"], by)
    reject_more(found, LINES_AT_MOST, f"{LINES_AT_MOST} rows of panels")
    drawn = table[~table["site"].isin(_COMPARED)]
    names = list(found.table["condition"])
    layers = {name: list(dict.fromkeys(drawn.loc[drawn["condition"] == name, "site"])) for name in names}
    heads = int(drawn["attention_head"].max()) + 1
    heights = [0.55 * len(sites) + 0.5 for sites in layers.values()]
    figure = new_figure(3.6 + 0.5 * heads, 1.4 + sum(heights))
    ratios = {"width_ratios": [0.5 * heads, 2.2], "height_ratios": heights}
    panels = figure.subplots(len(names), 2, squeeze=False, sharex="col", gridspec_kw=ratios)
    each_head = drawn[drawn["component"] == "attention head"]
    scale = Scale.around_zero(f"{_UNITS[quantity]}\n(attention head)", each_head["mean"].to_numpy(float))
    for name, (left, right) in zip(names, panels, strict=True):
        sites, of_condition = layers[name], drawn[drawn["condition"] == name]
        matrix = _matrix(of_condition, sites, heads)
        labels = [Metric("", site=site).site_label for site in sites]
        image = draw_cells(left, matrix, labels, [str(head) for head in range(heads)], scale)
        left.set_title(name, loc="left", fontsize="small")
        _draw_bars(right, of_condition, sites)
    panels[-1, 0].set_xlabel("attention head")
    panels[-1, 1].set_xlabel(_UNITS[quantity])
    figure.legend(*panels[0, 1].get_legend_handles_labels(), loc="outside lower right", ncols=4, frameon=False, handlelength=1)
    colour_bar(image, list(panels.ravel()), scale, aspect=30)
    bars = "; bars with 90 % intervals" if table["low"].notna().any() else ""
    figure_note(figure, [f"mean over {describe_seeds(table)}{bars}", *_choice(table), *found.notes])
    return figure, attach_notes(table, found)


def _matrix(rows: pd.DataFrame, sites: Sequence[str], heads: int) -> NDArray[np.float64]:
    """Return the means of attention heads as (layers, attention heads); nan where a layer has none."""
    of_heads = rows[rows["component"] == "attention head"]
    matrix = of_heads.pivot_table(index="site", columns="attention_head", values="mean")
    return matrix.reindex(index=list(sites), columns=range(heads)).to_numpy(float)


def _draw_bars(axes: Axes, rows: pd.DataFrame, sites: Sequence[str]) -> None:
    """Draw bars of whole layers, their parts and prediction heads, in the rows of the heat map."""
    thickness = 0.8 / len(_BARS)
    for place, (component, look) in enumerate(zip(_BARS, LOOKS, strict=False)):
        part = rows[rows["component"] == component]
        if part.empty:
            continue
        y = np.array([sites.index(site) for site in part["site"]]) + (place - (len(_BARS) - 1) / 2) * thickness
        mean = part["mean"].to_numpy(float)
        axes.barh(y, mean, 0.9 * thickness, color=look.colour, label=component.replace("mlp", "MLP"))
        known = part["low"].notna().to_numpy()
        if known.any():
            around = np.abs(part[["low", "high"]].to_numpy(float).T - mean)[:, known]
            axes.errorbar(mean[known], y[known], xerr=around, fmt="none", ecolor="#777777", elinewidth=1)
    axes.axvline(0, color="#777777", linewidth=0.8)
    axes.set_yticks(range(len(sites)), [])
    axes.set_ylim(len(sites) - 0.5, -0.5)


def _choice(table: pd.DataFrame) -> list[str]:
    """Return a line for each condition in which attention heads were chosen on another split."""
    rows = table[(table["component"] == "attention head") & table["site"].isin(_COMPARED)]
    lines = []
    for name, part in rows.groupby("condition", observed=True):
        mean = part.set_index("site")["mean"]
        lines.append(
            f"{name}: attention head chosen on another split {mean['chosen']:.2g}, others of its layer {mean['others']:.2g}"
        )
    return lines
