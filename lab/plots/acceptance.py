"""Where drafts of further prediction heads are accepted: by head and role, and over training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lab.errors import LabError
from lab.metrics import EVERY_TARGET, Metric
from lab.plots.axes import figure_note, line_handles, log_axis, role_label
from lab.plots.page import new_figure
from lab.plots.panels import reject_more
from lab.plots.style import looks
from lab.plots.tables import attach_notes, describe_seeds
from lab.stats.inspected import condition_means

COORDINATES = ("heads", "nodes", "batch", "metric")
"""What each value of a frame of decoding is of."""
_MOST = 3
"""Conditions in a figure."""


def acceptance(frame: pd.DataFrame, *, by: Sequence[str] | None = None) -> tuple[Figure, pd.DataFrame]:
    """Draw how often drafted tokens are accepted, by prediction head and role, and tokens per forward over kept steps.

    Args:
        frame: Of `lab.evaluation.decoded_runs.decode_runs`, or of `lab.decode`.
        by: Settings that distinguish conditions, by default all that vary; each has a panel.

    Returns:
        The figure, and the means with their 90 % intervals over seeds.

    Raises:
        LabError: If no run drafts, or there are more than 3 conditions.
    """
    parsed = {name: Metric.parse(name) for name in frame["metric"].unique()}
    drafts = [name for name, metric in parsed.items() if metric.name in ("acceptance", "acceptance_given_reached")]
    if not drafts:
        raise LabError("the frame has no metric 'acceptance/2': decode with 2 prediction heads or more")
    table, found = condition_means(frame[frame["metric"].isin([*drafts, "tokens_per_forward"])], COORDINATES, by)
    reject_more(found, _MOST, f"{_MOST} panels")
    names = list(found.table["condition"])
    trained = table["step"].nunique() > 1
    width = len(names) + trained
    figure = new_figure(1.0 + (2.7 if width > 1 else 5.0) * width, 3.3)
    panels = figure.subplots(1, width, squeeze=False)[0]
    label = role_label(frame) or (lambda role: role)
    roles = [role for role in _roles(parsed.values()) if role != EVERY_TARGET]
    for axes, name in zip(panels, names, strict=False):
        rows = table[(table["condition"] == name) & (table["step"] == table["step"].max())]
        _draw_roles(axes, rows, {role: label(role) for role in roles})
        axes.set_title(name if len(names) > 1 else "", fontsize="small")
    panels[0].set_ylabel("acceptance rate of drafted tokens\nbefore which all were accepted")
    if trained:
        _draw_steps(panels[-1], table[(table["metric"] == "tokens_per_forward")], frame, names)
    handles = line_handles(panels)
    figure.legend(handles.values(), handles.keys(), loc="outside lower left", ncols=3, handlelength=3, frameon=False)
    figure.set_figheight(figure.get_figheight() + 0.17 * -(-len(handles) // 3))
    seeds = f"mean and 90 % bootstrap band over {describe_seeds(table)}"
    figure_note(figure, [seeds, "greedy; roles of the written tokens, where half of the seeds wrote them"])
    return figure, attach_notes(table, found)


def _roles(metrics: Iterable[Metric]) -> list[str]:
    return list(dict.fromkeys(metric.role for metric in metrics if metric.name == "acceptance_given_reached"))


def _draw_roles(axes: Axes, rows: pd.DataFrame, labels: dict[str, str]) -> None:
    """Draw a line for each role against the head that drafts, and one for all roles."""
    look = looks(labels.values())
    metrics = rows["metric"].map(Metric.parse)
    rows = rows.assign(name=[each.name for each in metrics], role=[each.role for each in metrics])
    rows = rows.assign(head=[each.head for each in metrics])
    for role, label in labels.items():
        part = rows[(rows["role"] == role) & (rows["seeds"] >= rows["seeds"].max() / 2)].sort_values("head")  # rarely written
        axes.plot(part["head"], part["mean"], label=label, markersize=4, **look[label].options)
        axes.fill_between(part["head"], part["low"], part["high"], color=look[label].colour, alpha=0.15, linewidth=0)
    for name, label, line in (
        ("acceptance_given_reached", "all tokens", "-"),
        ("acceptance", "all tokens, whatever came before", ":"),
    ):
        part = rows[(rows["name"] == name) & rows["role"].isin(["", EVERY_TARGET])].sort_values("head")
        axes.plot(part["head"], part["mean"], color="#777777", linewidth=2.6, linestyle=line, label=label)
    axes.set_xlabel("prediction head that drafts")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(-0.03, 1.03)


def _draw_steps(axes: Axes, rows: pd.DataFrame, frame: pd.DataFrame, names: Sequence[str]) -> None:
    """Draw tokens per forward against tokens seen in training."""
    tokens = frame.groupby("step")["tokens"].mean()
    for name, look in looks(names).items():
        part = rows[(rows["condition"] == name) & (rows["step"].map(tokens) > 0)].sort_values("step")
        x = part["step"].map(tokens)
        label = f"tokens per forward, {name}" if len(names) > 1 else "tokens per forward"
        axes.plot(x, part["mean"], label=label, markersize=4, **look.options)
        axes.fill_between(x, part["low"], part["high"], color=look.colour, alpha=0.15, linewidth=0)
    log_axis(axes, "training tokens seen", tokens[tokens > 0])
    axes.set_ylim(bottom=1)
    axes.set_ylabel("tokens per forward pass")
