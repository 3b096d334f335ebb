"""Survival curves of emergence: the share of runs that are still on the plateau, for each condition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.plots.axes import TOKENS, count, metric_label
from lab.plots.panels import Lines, in_panels
from lab.plots.style import Look
from lab.plots.tables import attach_notes, unfinished_note
from lab.stats.conditions import conditions, rows_of
from lab.stats.emergence import emergence_table
from lab.stats.survival import survival_comparisons, survival_curve

_BANDS_AT_MOST = 3
"""The largest number of conditions with full bands; with more, intervals are drawn at the end alone."""


def survival(
    frame: pd.DataFrame,
    metric: str,
    *,
    threshold: float = 0.5,
    by: Sequence[str] | None = None,
    axes: Axes | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """Draw the share of runs that have not reached a threshold yet, against tokens seen.

    Args:
        frame: A tidy frame.
        metric: Name of the metric, such as `accuracy/turn/1`.
        threshold: Value to be reached at two evaluation points in a row.
        by: Settings that distinguish conditions, separated by commas; by default all that vary.
        axes: Where to draw; by default a new figure's.

    Returns:
        The figure, and the numbers drawn: the curve of each condition with its 90 % interval.

    Raises:
        LabError: If no run has the metric.
    """
    found = conditions(rows_of(frame, metric), by)
    times = emergence_table(
        found.frame.astype({"condition": "str"}), metric, thresholds={"emerged": threshold}, by=["condition"]
    )
    runs = {condition: times[times["condition"] == condition] for condition in found.table["condition"]}
    curves = {name: survival_curve(part["emerged"].tolist(), _observed(part).tolist()) for name, part in runs.items()}
    crowded = len(runs) > _BANDS_AT_MOST

    def draw(panel: Axes, shown: Lines) -> None:
        for place, (condition, (label, look)) in enumerate(shown.items()):
            part, curve = runs[condition], curves[condition]
            counted = f"{label}: {_observed(part).sum()} of {len(part)} emerged"
            label = counted if len(shown) == len(runs) else label  # panels share a legend
            panel.step(curve["tokens"], curve["share"], where="post", color=look.colour, linestyle=look.line, label=label)
            aside = times["emerged"].max() * (1.03 + 0.03 * place) if crowded else None
            _draw_interval(panel, curve, look, aside)
            ends = part.loc[~_observed(part), "emerged"]
            share = curve.set_index("tokens")["share"][ends]
            panel.plot(ends, share, linestyle="none", marker="|", color=look.colour)
        _finish(panel, threshold)

    lines = [metric_label(metric, frame, width=200), *_note(times, crowded=crowded), *unfinished_note(found)]
    table = pd.concat([curve.assign(condition=name) for name, curve in curves.items()], ignore_index=True)
    table = table[["condition", "tokens", "share", "low", "high", "runs"]]
    return in_panels(found, draw, lines, axes), attach_notes(table, found)


def _draw_interval(axes: Axes, curve: pd.DataFrame, look: Look, aside: float | None) -> None:
    """Draw the interval of a curve: along all of it, or at its end alone, to the right of it."""
    if aside is None:
        axes.fill_between(curve["tokens"], curve["low"], curve["high"], step="post", color=look.colour, alpha=0.1, linewidth=0)
        return
    last = curve.iloc[-1]
    errors = [[last["share"] - last["low"]], [last["high"] - last["share"]]]
    marks: dict[str, Any] = {"marker": look.marker, "markersize": 4, "elinewidth": 0.9, "capsize": 2}
    axes.errorbar([aside], [last["share"]], yerr=errors, color=look.colour, **marks)


def _observed(times: pd.DataFrame) -> pd.Series:
    return times["emerged_observed"].astype(bool)


def _finish(axes: Axes, threshold: float) -> None:
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlim(left=0)
    axes.set_xlabel(TOKENS)
    axes.set_ylabel(f"share of runs below {threshold:g}")
    axes.xaxis.set_major_formatter(lambda value, _: count(value))


def _note(times: pd.DataFrame, *, crowded: bool) -> list[str]:
    where = "at the end, right" if crowded else "pointwise"
    lines = [f"Kaplan-Meier, 90 % intervals {where};", "ticks: runs that ended on the plateau"]
    if times["condition"].nunique() == 2:
        p_value = survival_comparisons(times, "emerged", column="condition")["p_log_rank"].iloc[0]
        lines[1] += f"; log-rank p = {p_value:.2g}" if math.isfinite(p_value) else ""
    return lines
