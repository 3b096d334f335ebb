"""Figures of searches: the importance of each varied setting, and every configuration with its result."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lab.errors import LabError
from lab.metrics import Metric
from lab.plots.axes import figure_of, metric_label, new_axes, note
from lab.plots.tables import attach_notes, configuration_settings, describe_seeds, end_table
from lab.stats.conditions import Conditions
from lab.stats.configurations import Rule, finished_with, is_logarithmic, is_range


def importance(
    frame: pd.DataFrame, metric: str, *, rule: Rule = "last", axes: Axes | None = None
) -> tuple[Figure, pd.DataFrame]:
    """Draw how much each varied setting matters for being among the best configurations.

    Args:
        frame: A tidy frame.
        metric: Name of the metric, such as `accuracy/copy/1`.
        rule: `last` or `best` evaluation of each finished run.
        axes: Where to draw; by default a new figure's.

    Returns:
        The figure, and the numbers drawn, see `lab.stats.importance.importance_table`.

    Raises:
        LabError: If no run has the metric, there are fewer than 8 configurations, or the runs do not differ.
    """
    from lab.stats.importance import importance_table  # optuna takes its time

    configurations, settings, found = _configurations(frame, metric, rule)
    table = importance_table(configurations, settings, lower_is_better=Metric.parse(metric).lower_is_better)
    axes = axes or new_axes(4.8, 1.1 + 0.32 * len(table))
    places = np.arange(len(table))[::-1]
    axes.barh(places, table["importance"], height=0.6, color="#56B4E9", edgecolor="black", linewidth=0.6)
    axes.plot(table["chance"], places, linestyle="none", marker="|", markersize=14, markeredgewidth=1.8, color="#D55E00")
    axes.set_yticks(places, [_short(name) for name in table["setting"]])
    axes.set_xlim(left=0)
    axes.set_xlabel("importance (share of all)")
    axes.grid(visible=False, axis="y")
    what = f"PED-ANOVA over {len(configurations)} configurations, {describe_seeds(configurations)}"
    marks = "orange mark: 95th percentile under permutation"
    note(axes, metric_label(metric, frame, width=200), what, marks, *found.notes)
    return figure_of(axes), attach_notes(table, found)


def parallel(frame: pd.DataFrame, metric: str, *, rule: Rule = "last", axes: Axes | None = None) -> tuple[Figure, pd.DataFrame]:
    """Draw every configuration as a line through its settings and its result.

    Args:
        frame: A tidy frame.
        metric: Name of the metric, such as `accuracy/copy/1`.
        rule: `last` or `best` evaluation of each finished run.
        axes: Where to draw; by default a new figure's.

    Returns:
        The figure, and the numbers drawn: a row for each configuration, see `lab.stats.configurations.configuration_table`.

    Raises:
        LabError: If no run has the metric, or the runs do not differ.
    """
    configurations, settings, found = _configurations(frame, metric, rule)
    table = configurations.sort_values("mean", ascending=not Metric.parse(metric).lower_is_better, ignore_index=True)
    ranged = [name for name in settings if is_range(table[name]) and not table[name].isna().any()]
    scales = [_range(table[name]) if name in ranged else _levels(table[name]) for name in settings] + [_range(table["mean"])]
    points = np.column_stack([scale.heights for scale in scales])
    axes = axes or new_axes(1.6 + 1.15 * len(scales), 3.2)
    ranks = np.linspace(0, 1, len(table))  # the best configuration is drawn last, darkest and widest
    for rank, heights in zip(ranks, points, strict=True):
        axes.plot(range(len(scales)), heights, color=colormaps["cividis"](1 - rank), linewidth=0.7 + 1.5 * rank)
    for position, scale in enumerate(scales):
        axes.axvline(position, color="black", linewidth=0.8, zorder=0)
        for height, text in scale.ticks:
            box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.75}
            axes.annotate(text, (position, height), (3, 0), textcoords="offset points", va="center", fontsize="small", bbox=box)
    axes.set_xlim(-0.15, len(scales) - 1 + 0.35)
    axes.set_ylim(-0.06, 1.06)
    what = metric_label(metric, frame, width=200).split(" on ")[0]
    axes.set_xticks(range(len(scales)), [*map(_short, settings), what])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.grid(visible=False)
    counts = f"{len(table)} configurations, the best drawn darkest; {describe_seeds(table)}"
    note(axes, metric_label(metric, frame, width=200), counts, *found.notes)
    return figure_of(axes), attach_notes(table, found)


def _configurations(frame: pd.DataFrame, metric: str, rule: Rule) -> tuple[pd.DataFrame, list[str], Conditions]:
    """Return the end values of every configuration, the settings in which they differ, and the runs that count."""
    found = finished_with(frame, metric, rule)
    settings = configuration_settings(found)
    if settings.shape[1] == 1:
        raise LabError("the runs differ in no setting: there is nothing to compare")
    table = end_table(found, metric, rule).merge(settings, on="condition", validate="one_to_one")
    return table, list(settings.columns[1:]), found


class _Scale(NamedTuple):
    """A vertical axis: the height of each value, from 0 to 1, and the heights and texts of ticks."""

    heights: NDArray[np.float64]
    ticks: list[tuple[float, str]]


def _range(column: pd.Series) -> _Scale:
    """Scale numbers linearly, or logarithmically where they span a factor of ten."""
    numbers = column.to_numpy(float)
    logarithmic = is_logarithmic(float(np.min(numbers)), float(np.max(numbers)))
    scaled = np.log(numbers) if logarithmic else numbers
    low, high = float(np.min(scaled)), float(np.max(scaled))
    marks = np.linspace(low, high, 5)
    texts = _format_distinct(np.exp(marks) if logarithmic else marks)
    span = (high - low) or 1.0
    return _Scale((scaled - low) / span, [((mark - low) / span, text) for mark, text in zip(marks, texts, strict=True)])


def _format_distinct(values: NDArray[np.float64]) -> list[str]:
    """Format numbers with the fewest digits, at least two, that distinguish them; a repeated text is left empty."""
    texts: list[str] = []
    for digits in range(2, 18):
        texts = [f"{value:.{digits}g}" for value in values]
        if len(set(texts)) == len(np.unique(values)):
            break
    return ["" if text in texts[:place] else text for place, text in enumerate(texts)]


def _levels(column: pd.Series) -> _Scale:
    """Space levels evenly, numbers in ascending order."""
    numeric = pd.api.types.is_numeric_dtype(column) and not column.isna().any()
    names: list[Any] = column.to_list() if numeric else [_text(value) for value in column]
    levels = sorted(set(names))
    heights = {level: place / max(1, len(levels) - 1) for place, level in enumerate(levels)}
    return _Scale(np.array([heights[name] for name in names]), [(height, _text(level)) for level, height in heights.items()])


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _short(setting: str) -> str:
    return "n" if setting == "n_future" else setting.rpartition(".")[2].replace("_", " ")
