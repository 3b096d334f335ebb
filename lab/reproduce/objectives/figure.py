"""The figure of the study: one row for each objective, its ingredients as columns, and when its runs escape on each task."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.plots.page import new_figure
from lab.reproduce.objectives.conditions import BENCHES, CONDITIONS, QUESTIONS
from lab.reproduce.objectives.plan import CONDITION
from lab.stats.emergence import emergence_table

_DARK, _LIGHT = "#000000", "#D55E00"


def draw(frame: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Draw the ingredients of each condition beside the time at which each of its runs escaped, a panel for each task.

    Args:
        frame: The study's frame, of one task or several.

    Returns:
        The figure, and the times: `task`, `condition`, `run`, `seed`, `escaped` in tokens, `escaped_observed`.
    """
    tasks, present = list(dict.fromkeys(frame["task"])), set(frame[CONDITION])
    names = [name for name in CONDITIONS if name in present]
    times = pd.concat([_times(frame[frame["task"] == task]) for task in tasks], ignore_index=True)
    figure = new_figure(5.6 + 2.6 * len(tasks), 1.1 + 0.3 * len(names))
    grid = figure.add_gridspec(1, 1 + len(tasks), width_ratios=[1.75] + [1] * len(tasks))
    table = figure.add_subplot(grid[0, 0])
    _draw_facts(table, names)
    for number, task in enumerate(tasks):
        axes = figure.add_subplot(grid[0, 1 + number], sharey=table)
        _draw_times(axes, names, times[times["task"] == task])
        axes.set_title(f"{task}: {BENCHES[task].label}\npast {BENCHES[task].escaped:g}, each seed", loc="left")
    figure.text(0.01, 0.005, "Dots: a run escapes. Bars: the median run. Open triangles: not within the run.", fontsize="small")
    return figure, times


def _times(own: pd.DataFrame) -> pd.DataFrame:
    task, metric = own["task"].iloc[0], own["metric"].iloc[0]
    times = emergence_table(own, metric, thresholds={"escaped": BENCHES[task].escaped}, by=[CONDITION])
    return times.assign(task=task)[["task", CONDITION, "run", "seed", "escaped", "escaped_observed"]]


def _draw_facts(axes: Axes, names: list[str]) -> None:
    """Draw the table of ingredients: a dot for yes, nothing for no, else the word."""
    for row, name in enumerate(names):
        if row % 2:
            axes.axhspan(row - 0.5, row + 0.5, color="#F2F2F2", zorder=0)
        for column, fact in enumerate(CONDITIONS[name].facts):
            shown = {"yes": "●", "no": "", "-": ""}.get(fact, fact)
            axes.text(column, row, shown, ha="center", va="center", fontsize="small")
    axes.set_yticks(range(len(names)), names)
    axes.set_xticks(range(len(QUESTIONS)), [question.replace(" ", "\n") for question in QUESTIONS])
    axes.xaxis.tick_top()
    axes.set_xlim(-0.6, len(QUESTIONS) - 0.4)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_times(axes: Axes, names: list[str], times: pd.DataFrame) -> None:
    """Draw when each run of each condition passed the threshold, in millions of tokens."""
    for row, name in enumerate(names):
        if row % 2:
            axes.axhspan(row - 0.5, row + 0.5, color="#F2F2F2", zorder=0)
        part = times[times[CONDITION] == name]
        if part.empty:
            axes.text(
                0.5, row, "needs an answer", transform=axes.get_yaxis_transform(), ha="center", va="center", fontsize="small"
            )
            continue
        seen = part["escaped_observed"].to_numpy(bool)
        tokens = part["escaped"].to_numpy(float) / 1e6
        heights = row + np.linspace(-0.28, 0.28, len(part))
        axes.plot(tokens[seen], heights[seen], "o", color=_DARK, markersize=3.5, linestyle="none")
        axes.plot(tokens[~seen], heights[~seen], ">", color=_LIGHT, markersize=4.5, linestyle="none", fillstyle="none")
        if seen.sum() * 2 > len(part):
            median = np.sort(np.where(seen, tokens, np.inf))[(len(part) - 1) // 2]
            axes.plot([median, median], [row - 0.38, row + 0.38], color=_DARK, linewidth=1.6)
        axes.text(1.02, row, f"{seen.sum()}/{len(part)}", transform=axes.get_yaxis_transform(), va="center", fontsize="small")
    axes.tick_params(axis="y", labelleft=False, length=0)
    axes.set_xlabel("tokens seen, millions")
    axes.set_xlim(left=0)
    axes.grid(visible=False, axis="y")
