"""The figure of the atlas: for each task the rule's score, and the measured effect of two and of four prediction heads."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lab.plots.axes import figure_note
from lab.plots.page import new_figure
from lab.plots.style import LOOKS, Look
from lab.reproduce.atlas.effects import Correlation, tasks_of
from lab.reproduce.atlas.plan import CONDITION, EQUAL, condition
from lab.reproduce.atlas.rule import RULE, SEEN

_LOOKS: Mapping[int, Look] = dict(zip((2, 4), LOOKS[:2], strict=True))
_SEEN, _PREDICTED = "#BBBBBB", "#444444"
"""Colours of the scores of tasks whose runs had been seen, and of predictions."""


def draw(effects: pd.DataFrame, found: Mapping[tuple[str, str], Correlation]) -> tuple[Figure, pd.DataFrame]:
    """Draw the scores of tasks beside the effects of further heads, at equal depth and at equal parameters.

    Args:
        effects: From `effects_of`.
        found: From `correlations`.

    Returns:
        The figure, and the effects.
    """
    tasks = tasks_of(effects)
    figure = new_figure(8.4, 1.9 + 0.27 * len(tasks))
    grid = figure.add_gridspec(1, 3, width_ratios=[0.55, 1, 1])
    scores = figure.add_subplot(grid[0, 0])
    _draw_scores(scores, tasks)
    panels = [figure.add_subplot(grid[0, 1], sharey=scores)]
    panels.append(figure.add_subplot(grid[0, 2], sharey=scores, sharex=panels[0]))
    for axes, (matched, words) in zip(panels, EQUAL.items(), strict=True):
        for n in _LOOKS:
            _draw_effects(axes, effects[effects[CONDITION] == condition(n, matched)], tasks, n)
        lines = [_correlation_line(n, group, each) for n in _LOOKS for group, each in _groups(found, condition(n, matched))]
        axes.set_title("\n".join([f"measured at {words}", *lines]), loc="left", fontsize="small")
        axes.set_xlabel("gain in area under the learning curve")
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.tick_params(axis="y", labelleft=False, length=0)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower right", ncols=2, frameon=False)
    rank = "; D: Somers' rank correlation of score and effect" if found else ""
    figure_note(
        figure,
        [
            "Score: steps that a further prediction head saves, by a rule; pale where runs of a task had been seen before it.",
            "Effect: n prediction heads less one on the same seeds, as a share of all that is learnt; lines: 90 % intervals; "
            f"filled marks: differences that the paired test finds{rank}.",
        ],
    )
    return figure, effects


def _draw_scores(axes: Axes, tasks: list[str]) -> None:
    """Draw the score of each task as a bar with its number, and a band behind every other group of equal scores."""
    for row, task in enumerate(tasks):
        score = RULE[task].score
        axes.barh(row, score, height=0.62, color=_SEEN if task in SEEN else _PREDICTED)
        side, sign = ("left", 1) if score >= 0 else ("right", -1)
        axes.text(score + 0.12 * sign, row, _signed(score), va="center", ha=side, fontsize="small")
    axes.set_yticks(range(len(tasks)), tasks)
    axes.set_ylim(len(tasks) - 0.5, -1.4)
    axes.set_xlim(-1.9, 2.9)
    axes.set_xticks([])
    axes.set_title("predicted: score", loc="left", fontsize="small")
    axes.grid(visible=False)
    axes.tick_params(axis="y", length=0)
    _separate_scores(axes, tasks)


def _draw_effects(axes: Axes, effects: pd.DataFrame, tasks: list[str], n: int) -> None:
    """Draw the effect of n heads on each task with its interval."""
    look, shift = _LOOKS[n], -0.17 if n == 2 else 0.17
    axes.plot([], [], color=look.colour, marker=look.marker, linestyle="-", linewidth=1, markersize=4.5, label=f"n = {n}")
    for row in effects.to_dict("records"):
        height = tasks.index(row["task"]) + shift
        axes.plot([row["low"], row["high"]], [height, height], color=look.colour, linewidth=1)
        face = look.colour if row["found"] else "white"
        axes.plot(row["difference"], height, marker=look.marker, color=look.colour, markerfacecolor=face, markersize=4.5)
    axes.grid(visible=False, axis="y")
    if n == min(_LOOKS):
        _separate_scores(axes, tasks)


def _separate_scores(axes: Axes, tasks: list[str]) -> None:
    """Draw the line of no effect, and lines between tasks of different scores."""
    axes.axvline(0, color="black", linewidth=0.8, zorder=0)
    axes.text(0, -0.95, "← hurts ", ha="right", va="center", fontsize="small")
    axes.text(0, -0.95, " helps →", ha="left", va="center", fontsize="small")
    for row in range(1, len(tasks)):
        if RULE[tasks[row]].score != RULE[tasks[row - 1]].score:
            axes.axhline(row - 0.5, color="#999999", linewidth=0.6, linestyle=":")


def _groups(found: Mapping[tuple[str, str], Correlation], name: str) -> list[tuple[str, Correlation]]:
    return [(group, each) for (compared, group), each in found.items() if compared == name]


def _correlation_line(n: int, group: str, found: Correlation) -> str:
    tasks = f"{found.tasks} {'tasks' if group == 'all' else 'not seen'}"
    return f"n = {n}, {tasks}: D = {found.somers_d:+.2f} [{found.low:+.2f}, {found.high:+.2f}]".replace("-", "\N{MINUS SIGN}")


def _signed(score: int) -> str:
    return f"{score:+d}".replace("-", "\N{MINUS SIGN}") if score else "0"
