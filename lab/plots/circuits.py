"""Parts of induction circuits: over training for several conditions, or as heat maps of one network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lab.errors import LabError
from lab.plots.attention import layer_label
from lab.plots.axes import figure_note, line_handles, reference, shared_legend
from lab.plots.cells import Scale, colour_bar, draw_cells, draw_image
from lab.plots.curves import band_note, bands, draw_band, finish
from lab.plots.page import current_page, new_figure
from lab.plots.style import looks
from lab.stats.circuits import THRESHOLDS, circuit_times, strongest
from lab.stats.conditions import Conditions
from lab.stats.precedence import precedence_table
from tasks.errors import nearest

LABELS = {
    "previous_token": "previous-token score",
    "k_composition": "K-composition\nabove chance",
    "prefix_matching": "prefix matching",
}
NO_PAIRS = "no attention layer\nabove another"
_OUTCOMES = {
    "before": ("yes", "#222222", ""),
    "together": ("at the same step", "#777777", ""),
    "after": ("no, the other way round", "#D0D0D0", "///"),
    "neither": ("neither formed", "#FFFFFF", ""),
}


def draw_circuits(frame: pd.DataFrame, *, by: Sequence[str] | None = None, run: str = "") -> tuple[Figure, pd.DataFrame]:
    """Draw the parts of induction circuits: over training if the frame has several steps, else as heat maps of one run.

    Args:
        frame: From `lab.inspect("circuits", ...)`.
        by: Settings that distinguish conditions, separated by commas; by default all that vary.
        run: Heat maps of which run at its last step, by its name in the frame (of the first, if there is a single step).

    Returns:
        The figure and its numbers: of curves, each run's moments (`lab.stats.circuits.circuit_times`); of heat maps, the rows
        of the frame.

    Raises:
        LabError: If the frame has no such run; see also `lab.stats.conditions.conditions`.
    """
    names = list(frame["run"].unique())
    if run and run not in names:
        raise LabError(f"run must be a run of the frame, not {run!r}; {nearest(run, names)}")
    if not run and frame.groupby("run")["step"].nunique().max() > 1:
        return _draw_training(strongest(frame, by))
    rows = frame[frame["run"] == (run or names[0])]
    return _draw_heat_maps(rows[rows["step"] == rows["step"].max()])


def _draw_training(found: Conditions) -> tuple[Figure, pd.DataFrame]:
    times, table = circuit_times(found), bands(found, list(THRESHOLDS))
    shown = looks(found.table["condition"])
    figure = new_figure(8.4, 3.8 + 0.6 * len(shown))
    grid = figure.add_gridspec(2, 3, height_ratios=[2.2, 1.0 + 0.6 * len(shown)])
    panels = [figure.add_subplot(grid[0, column]) for column in range(3)]
    for axes, (part, threshold) in zip(panels, THRESHOLDS.items(), strict=False):
        for name, look in shown.items():
            draw_band(axes, table[(table["condition"] == name) & (table["metric"] == part)], look, str(name))
            moments = times.loc[(times["condition"] == name) & times[f"{part}_observed"], part]
            axes.plot(moments, [threshold] * len(moments), "|", color=look.colour, markersize=9, markeredgewidth=1.3)
        reference(axes, {"": threshold})
        drawn = table["metric"] == part
        finish(axes, table[drawn] if drawn.any() else table, LABELS[part])
        if not drawn.any():
            axes.text(0.5, 0.5, NO_PAIRS, transform=axes.transAxes, ha="center", va="center", color="#555555", fontsize="small")
        if part == "k_composition":
            axes.set_ylim(auto=True)
            axes.autoscale(axis="y")
    orders = figure.add_subplot(grid[1, :])
    _draw_orders(orders, times)
    shared_legend(figure, line_handles([*panels, orders]))
    what = "strongest attention head, or pair of them, on the next-token path"
    lines = [f"{what}; {'; '.join(band_note(table))}", "dashed: threshold; |: the moment of one seed", *found.notes]
    figure_note(figure, lines)
    return figure, times


def _draw_orders(axes: Axes, times: pd.DataFrame) -> None:
    """Draw for every two parts and condition in how many seeds the first formed before the second."""
    table = precedence_table(times, list(THRESHOLDS), ["condition"])
    table = table.sort_values(["first", "second"], key=lambda names: names.map(list(THRESHOLDS).index), kind="stable")
    pairs = table[["first", "second"]].drop_duplicates().itertuples(index=False)
    size = len(table) // 3
    places = np.arange(len(table)) + 1.0 + np.repeat(np.arange(3), size)
    left_N = np.zeros(len(table))
    for column, (label, colour, hatch) in _OUTCOMES.items():
        width_N = table[column].to_numpy(float)
        axes.barh(places, width_N, left=left_N, color=colour, hatch=hatch, edgecolor="#222222", linewidth=0.6, label=label)
        left_N += width_N
    for group, (first, second) in enumerate(pairs):
        words = f"{_short(first)}, then {_short(second)}?"
        axes.text(0, group * (size + 1), words, va="center", fontsize="small", color="#333333")
    axes.set_yticks(places, list(table["condition"]))
    axes.set_ylim(places[-1] + 0.6, -0.6)
    axes.set_xlabel("seeds, by which of the two passed its threshold first")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=False, axis="y")


def _short(part: str) -> str:
    return LABELS[part].removesuffix("\nabove chance").removesuffix(" score")


def _draw_heat_maps(rows: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Draw both scores by layer and attention head, and the composition of every sender and receiver."""
    scores, composed = rows[rows["sender"] == ""], rows[rows["sender"] != ""]
    sites, heads = list(scores["site"].unique()), sorted(scores["attention_head"].unique())
    pairs = composed.assign(receiver=composed["site"] + "/" + composed["attention_head"].astype(str))
    matrix = pairs.pivot_table(index="receiver", columns="sender", values="value", sort=False)
    wide, tall = 0.36 * len(heads) + 0.6, 0.3 * len(sites) + 0.8
    side = 0.17 * max(matrix.shape) + 0.9 if len(matrix) else 0.0  # one layer has no pairs
    figure = new_figure(max(2 * wide + 2.4, side + 1.6), tall + side + 0.9)
    grid = figure.add_gridspec(2, 2, height_ratios=[tall, side]) if len(matrix) else figure.add_gridspec(1, 2)
    panels = [figure.add_subplot(grid[0, column]) for column in range(2)]
    for axes, part in zip(panels, ("previous_token", "prefix_matching"), strict=True):
        values = scores[scores["quantity"] == part].pivot_table(index="site", columns="attention_head", values="value")
        scale = Scale("score", 0.0, 1.0)
        image = draw_cells(
            axes, values.loc[sites].to_numpy(), [layer_label(site) for site in sites], list(map(str, heads)), scale
        )
        axes.set_title(LABELS[part], fontsize="small")
        axes.set_xlabel("attention head")
    colour_bar(image, panels, scale)
    if len(matrix):
        _draw_pairs(figure.add_subplot(grid[1, :]), matrix)
    first = rows.iloc[0]
    figure_note(figure, [f"{first['run']} (n = {first['n_future']}), step {first['step']}"])
    return figure, rows


def _draw_pairs(axes: Axes, matrix: pd.DataFrame) -> None:
    """Draw the composition of every receiver (down) and sender (across)."""
    scale_of_text = max(1.0, current_page().scale)
    scale = Scale.around_zero("K-composition above chance", matrix.to_numpy())
    least = 0.1 * scale.high
    signs = [["\N{MINUS SIGN}" if value < -least else "" for value in row] for row in matrix.to_numpy()]
    image = draw_image(axes, matrix.to_numpy(), scale, signs)
    axes.set_xticks(range(matrix.shape[1]), matrix.columns, rotation=90, fontsize=6 * scale_of_text)
    axes.set_yticks(range(matrix.shape[0]), matrix.index, fontsize=6 * scale_of_text)
    axes.set_xlabel("sender: layer/attention head that writes")
    axes.set_ylabel("receiver: whose keys read")
    colour_bar(image, [axes], scale)
