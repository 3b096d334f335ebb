"""The figure of the study: one row for each objective, its ingredients as columns, and when its runs escape on each task."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.plots.page import new_figure
from lab.reproduce.comparison.figure import STRIPE, TIMES, draw_times
from lab.reproduce.comparison.plan import CONDITION
from lab.reproduce.comparison.tables import times_of
from lab.reproduce.objectives.conditions import BENCHES, CONDITIONS, QUESTIONS, conditions_of, family_of


def draw(frame: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Draw the ingredients of each condition beside the time at which each of its runs escaped, a panel for each task.

    Args:
        frame: The study's frame, of one task or several.

    Returns:
        The figure, and the times: `task`, `condition`, `run`, `seed`, `escaped` in tokens, `escaped_observed`.
    """
    tasks, present = list(dict.fromkeys(frame["task"])), set(frame[CONDITION])
    names = [name for name in CONDITIONS if name in present]
    found = {task: times_of(family_of(task), frame[frame["task"] == task]) for task in tasks}
    figure = new_figure(5.6 + 2.6 * len(tasks), 1.1 + 0.3 * len(names))
    grid = figure.add_gridspec(1, 1 + len(tasks), width_ratios=[1.75] + [1] * len(tasks))
    table = figure.add_subplot(grid[0, 0])
    _draw_facts(table, names)
    for number, task in enumerate(tasks):
        axes = figure.add_subplot(grid[0, 1 + number], sharey=table)
        draw_times(axes, names, found[task])
        axes.tick_params(axis="y", labelleft=False)
        for row, name in enumerate(names):
            if name not in conditions_of(task):
                across = axes.get_yaxis_transform()
                axes.text(0.5, row, "needs an answer", transform=across, ha="center", va="center", fontsize="small")
        axes.set_title(f"{task}: {BENCHES[task].label}\npast {BENCHES[task].escaped:g}, each seed", loc="left")
    figure.text(0.01, 0.005, TIMES, fontsize="small")
    times = pd.concat([each.assign(task=task) for task, each in found.items()], ignore_index=True)
    return figure, times[["task", CONDITION, "run", "seed", "escaped", "escaped_observed"]]


def _draw_facts(axes: Axes, names: list[str]) -> None:
    """Draw the table of ingredients: a dot for yes, nothing for no, else the word."""
    for row, name in enumerate(names):
        if row % 2:
            axes.axhspan(row - 0.5, row + 0.5, color=STRIPE, zorder=0)
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
