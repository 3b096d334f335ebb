"""Emergence as survival: which share of runs is still on the plateau, arm by arm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter

from lab.analysis.emergence import emergence_table
from lab.analysis.survival import survival_comparisons, survival_curve
from lab.errors import LabError
from lab.plots.arms import with_arms
from lab.plots.curves import TOKENS, describe, new_axes
from lab.plots.style import looks
from tasks.errors import nearest

_BANDS_AT_MOST = 3
"""Arms whose bands can be told apart; of more, the intervals are drawn at the end alone."""


def survival(
    frame: pd.DataFrame, metric: str, *, threshold: float = 0.5, by: Sequence[str] = ("n_future",), axes: Axes | None = None
) -> tuple[Axes, pd.DataFrame]:
    """Share of runs whose metric has not passed a threshold yet, against tokens seen (Kaplan and Meier).

    Args:
        frame: A tidy frame.
        metric: As `accuracy/turn/1`.
        threshold: To be met twice in a row.
        by: Columns that tell arms apart.
        axes: Where to draw; by default a new figure's.

    Returns:
        The axes, and the numbers drawn: the curve of each arm with its 90 % interval.

    Raises:
        LabError: If no run has the metric.
    """
    if not (frame["metric"] == metric).any():
        raise LabError(f"no run has a metric {metric!r}; {nearest(metric, set(frame['metric']))}")
    table = emergence_table(with_arms(frame, by).astype({"arm": "str"}), metric,
                            thresholds={"emerged": threshold}, by=["arm"])  # fmt: skip
    order = [str(arm) for arm in with_arms(frame, by)["arm"].cat.categories]
    order = [arm for arm in order if (table["arm"] == arm).any()]
    crowded = len(order) > _BANDS_AT_MOST
    axes = axes or new_axes(4.6 if len(order) < _BANDS_AT_MOST else 6.4)  # no corner is free of three curves
    curves = []
    for place, (arm, look) in enumerate(looks(order).items()):
        runs = table[table["arm"] == arm]
        seen = runs["emerged_observed"].astype(bool)
        curve = survival_curve(runs["emerged"].tolist(), seen.tolist())
        label = f"{arm}: {seen.sum()} of {len(runs)} emerged"
        axes.step(curve["tokens"], curve["share"], where="post", color=look.colour, linestyle=look.line, label=label)
        if crowded:
            last = curve.iloc[-1]
            reach = [[last["share"] - last["low"]], [last["high"] - last["share"]]]
            axes.errorbar([table["emerged"].max() * (1.03 + 0.03 * place)], [last["share"]], yerr=reach, color=look.colour,
                          marker=look.marker, markersize=4, elinewidth=0.9, capsize=2)  # fmt: skip
        else:
            axes.fill_between(curve["tokens"], curve["low"], curve["high"], step="post", color=look.colour, alpha=0.1,
                              linewidth=0)  # fmt: skip
        ends = runs.loc[~seen, "emerged"]
        if len(ends):
            axes.plot(ends, [curve["share"].iloc[-1]] * len(ends), linestyle="none", marker="|", color=look.colour)
        curves.append(curve.assign(arm=str(arm)))
    _finish(axes, table, metric, threshold, crowded=crowded)
    return axes, pd.concat(curves, ignore_index=True)[["arm", "tokens", "share", "low", "high", "runs"]]


def _finish(axes: Axes, table: pd.DataFrame, metric: str, threshold: float, *, crowded: bool) -> None:
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlim(left=0)
    axes.set_xlabel(TOKENS)
    axes.set_ylabel(f"share of runs below {threshold:g}:\n{describe(metric).replace(chr(10), ' ')}")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    many = table["arm"].nunique() >= _BANDS_AT_MOST
    beside: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1, 0.5)} if many else {"loc": "best"}
    axes.legend(**beside, handlelength=3, facecolor="white", edgecolor="none", framealpha=0.9)
    where = "at the end, right" if crowded else "pointwise"
    note = f"Kaplan-Meier, 90 % intervals {where};\nticks: runs that ended on the plateau"
    if table["arm"].nunique() == 2:
        p_value = survival_comparisons(table, "emerged", arm="arm")["p_log_rank"].iloc[0]
        note += f"; log-rank p = {p_value:.2g}" if math.isfinite(p_value) else ""
    axes.set_title(note, loc="left", color="#555555", fontsize=7.5)
