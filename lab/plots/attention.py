"""Attention patterns of one run on one sequence: a small panel for every attention head, words as ticks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lab.errors import LabError
from lab.metrics import Metric
from lab.plots.axes import figure_note, figure_of
from lab.plots.cells import SEQUENTIAL, Scale, colour_bar
from tasks.errors import nearest

_SMALLEST = 3.5
"""Points of the smallest legible word; longer sequences have numbers of positions as ticks."""


def draw_attention(frame: pd.DataFrame, *, run: str = "", sequence: int = 0, site: str = "") -> tuple[Figure, pd.DataFrame]:
    """Draw the attention patterns of one run on one sequence, at its last step in the frame.

    Patterns of several runs are not averaged: attention head 2 of one seed is not attention head 2 of another.

    Args:
        frame: From `lab.inspect("attention", ...)`.
        run: Which run, by its name in the frame (the first).
        sequence: Which sequence, from 0.
        site: One layer, as `trunk.0` or `prediction.1`, drawn larger (all).

    Returns:
        The figure, and its rows of the frame.

    Raises:
        LabError: If the frame has no such run, sequence or layer.
    """
    runs, layers = list(frame["run"].unique()), {layer_of(name): name for name in frame["site"].unique()}
    if run and run not in runs:
        raise LabError(f"run must be a run of the frame, not {run!r}; {nearest(run, runs)}")
    rows = frame[frame["run"] == (run or runs[0])]
    rows = rows[rows["step"] == rows["step"].max()]
    if sequence not in set(rows["sequence"]):
        raise LabError(f"sequence must be between 0 and {rows['sequence'].max()}, not {sequence}")
    if site and layer_of(site) not in layers:
        raise LabError(f"site must be a layer with attention heads, not {site!r}; {nearest(site, layers)}")
    rows = rows[(rows["sequence"] == sequence) & (rows["site"].isin([layers[layer_of(site)]] if site else layers.values()))]
    figure = _draw(rows)
    colour_bar(figure.axes[0].images[0], figure.axes, Scale("attention weight", 0.0, 1.0), aspect=40)
    first = rows.iloc[0]
    where = f"{first['run']} (n = {first['n_future']}), step {first['step']}, sequence {sequence}"
    figure_note(figure, [where, "each position (row, down) attends to itself and those before it (columns)"])
    return figure, rows


def layer_of(site: str) -> str:
    """Return the layer of a site: `trunk.0` of `trunk.0.attention.pattern`."""
    return ".".join(site.split(".")[:2])


def layer_label(site: str) -> str:
    """Return the layer of a site in words."""
    return Metric("attention", site=layer_of(site)).site_label


def pattern_of(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Return the pattern of one attention head as a matrix (queries, keys), nan where a position cannot attend."""
    length = int(rows["query"].max()) + 1
    pattern = np.full((length, length), np.nan)
    pattern[rows["query"], rows["key"]] = rows["value"]
    return pattern


def words_of(rows: pd.DataFrame) -> list[str]:
    """Return the words of the sequence, in order."""
    return [str(word) for word in rows.drop_duplicates("query").sort_values("query")["query_word"]]


def _draw(rows: pd.DataFrame) -> Figure:
    """Draw a row of panels for each layer; the attention heads of a single layer fill several rows."""
    groups, words = list(rows.groupby(["site", "attention_head"], sort=False)), words_of(rows)
    several = rows["site"].nunique() > 1
    columns = rows["attention_head"].nunique() if several else min(4, len(groups))
    side = float(np.clip(0.13 * len(words), 1.1, 2.2 if several else 3.4))
    lines = -(-len(groups) // columns)
    figure = Figure(figsize=(1.5 + side * columns, 0.9 + (side + 0.2) * lines), layout="compressed")
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for number, (((site, head), part), axes) in enumerate(zip(groups, panels, strict=False)):
        axes.imshow(pattern_of(part), cmap=SEQUENTIAL, vmin=0, vmax=1)
        axes.grid(visible=False)
        if number < columns or not several:
            axes.set_title(f"attention head {head}", fontsize="small")
        if number % columns == 0:
            axes.set_ylabel(layer_label(str(site)).replace(" head", "\nhead"), fontsize="small")
    for axes in panels[len(groups) :]:
        axes.remove()
    _label(panels[0], words, side)
    return figure


def _label(axes: Axes, words: Sequence[str], side: float) -> None:
    """Write the words along shared axes, or numbers of positions where they would be illegible."""
    points = min(7.0, 0.85 * 72 * side / len(words))
    if points < _SMALLEST:
        axes.set_xticks(range(0, len(words), 10))
        axes.set_yticks(range(0, len(words), 10))
        return
    axes.set_xticks(range(len(words)), words)
    axes.set_yticks(range(len(words)), words)
    for panel in figure_of(axes).axes:
        panel.tick_params(axis="x", labelsize=points, rotation=90, length=1.5, pad=1)
        panel.tick_params(axis="y", labelsize=points, length=1.5, pad=1)
