"""Acceptance of drafts of further prediction heads, by head and role, and over training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.errors import LabError
from lab.metrics import EVERY_TARGET, Metric
from lab.plots.axes import figure_note, line_handles, log_axis, shared_legend
from lab.plots.page import columns_of, new_figure
from lab.plots.panels import reject_more
from lab.plots.style import Look, looks
from lab.plots.tables import attach_notes, describe_means
from lab.runs.names import role_label
from lab.stats.inspected import condition_means, last_means, mean_at_steps

COORDINATES = ("heads", "nodes", "batch", "metric")
"""Columns that identify a value in a frame of decoding."""
_MOST = 3
"""Conditions in a figure."""
_GIVEN, _EVER = "acceptance_given_reached", "acceptance"
_PANEL = 2.1
"""Width of a panel, inches."""
Series = tuple[str, str]
"""A line of a panel: a condition, and a symbol of spelled tokens ("" for whole tokens)."""


def acceptance(frame: pd.DataFrame, *, by: Sequence[str] | None = None) -> tuple[Figure, pd.DataFrame]:
    """Draw how often drafted tokens are accepted, by prediction head and role, and tokens per forward over kept steps.

    Each role of the written tokens has a panel, with a line for each condition and symbol of a spelled token.

    Args:
        frame: Of `lab.evaluation.decoded_runs.decode_runs`, or of `lab.decode`.
        by: Settings that distinguish conditions, by default all that vary.

    Returns:
        The figure, and the means with their 90 % intervals over seeds.

    Raises:
        LabError: If no run drafts, or there are more than 3 conditions.
    """
    parsed = {name: Metric.parse(name) for name in frame["metric"].unique()}
    drafts = [name for name, metric in parsed.items() if metric.name in (_GIVEN, _EVER)]
    if not drafts:
        raise LabError("the frame has no metric 'acceptance/2': decode with 2 prediction heads or more")
    rows = frame[frame["metric"].isin([*drafts, "tokens_per_forward"])]
    means, (ends, found) = condition_means(rows, COORDINATES, by), last_means(rows, COORDINATES, by)
    reject_more(found, _MOST, f"{_MOST} conditions")
    names = list(found.table["condition"])
    last = _rates(ends[ends["metric"].isin(drafts)])
    roles, trained = list(last["role"].unique()), means.table["step"].nunique() > 1
    series = [(name, symbol) for name in names for symbol in sorted({*last["symbol"]})]
    lines = {key: (_label(key, names), look) for key, look in zip(series, looks(series).values(), strict=True)}
    count = len(roles) + trained
    fit = columns_of(count, 4 if count > 4 else 3, panel=_PANEL)
    columns = -(-count // -(-count // fit))  # filled evenly
    figure = new_figure(0.9 + _PANEL * columns, 0.8 + 1.9 * -(-count // columns))
    grid = figure.subplots(-(-count // columns), columns, squeeze=False)
    label = role_label(frame) or (lambda role: role.replace("_", " "))
    for place, (role, panel) in enumerate(zip(roles, grid.flat, strict=False)):
        _draw_role(panel, last[last["role"] == role], last[last["role"] == EVERY_TARGET], lines)
        panel.set_title("all tokens" if role == EVERY_TARGET else label(role), fontsize="small")
        panel.set_ylabel("acceptance rate" if place % columns == 0 else "")
        panel.tick_params(labelleft=place % columns == 0)
        panel.set_xlabel("prediction head that drafts" if place + columns >= count else "")
    if trained:
        table = means.table.assign(x=mean_at_steps(means, "tokens"))
        all_heads = table.groupby("condition", observed=True)["heads"].transform("max")
        own = table[(table["metric"] == "tokens_per_forward") & (table["heads"] == all_heads) & (table["x"] > 0)]
        _draw_steps(grid.flat[count - 1], own, lines)
    for panel in grid.flat[count:]:
        panel.remove()
    shared_legend(figure, line_handles(figure.axes))
    figure_note(figure, [f"{describe_means(last, 'band')}; greedy, all heads used", *found.notes])
    return figure, attach_notes(means.table, found)


def _rates(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rates that are drawn with their `name`, `role`, `symbol` of a spelled token and `head`, by role.

    A rate of a token that fewer than half of the seeds wrote is left out.
    """
    metrics = [Metric.parse(name) for name in table["metric"]]
    parts = [(metric.role or EVERY_TARGET).partition("/") for metric in metrics]
    named = table.assign(
        name=[metric.name for metric in metrics],
        role=[role for role, _, _ in parts],
        symbol=[symbol for _, _, symbol in parts],
        head=[metric.head or 0 for metric in metrics],
    )
    rates = named[named["seeds"] >= named.groupby("condition", observed=True)["seeds"].transform("max") / 2]
    return rates.sort_values("role", key=lambda role: role != EVERY_TARGET, kind="stable")


def _label(series: Series, names: Sequence[str]) -> str:
    """Return the label of a line."""
    condition, symbol = series
    parts = [condition] * (len(names) > 1) + [f"symbol {symbol} of a token"] * (symbol != "")
    return ", ".join(parts) or "if every earlier draft was accepted"


def _draw_role(axes: Axes, rows: pd.DataFrame, every: pd.DataFrame, lines: Mapping[Series, tuple[str, Look]]) -> None:
    """Draw the rates of a role against the head that drafts, and beside a single condition those of all tokens in grey."""
    for (name, symbol), (label, look) in lines.items():
        own = rows[(rows["condition"] == name) & (rows["symbol"] == symbol)].sort_values("head")
        given, ever = own[own["name"] == _GIVEN], own[own["name"] == _EVER]
        if len(given):
            axes.plot(given["head"], given["mean"], label=label, markersize=3.5, **look.options)
            axes.fill_between(given["head"], given["low"], given["high"], color=look.colour, alpha=0.15, linewidth=0)
        if len(ever):
            axes.plot(
                ever["head"], ever["mean"], color=look.colour, linestyle=":", linewidth=1.2, label="whatever was drafted before"
            )
    if every["condition"].nunique() == 1 and rows["role"].iloc[0] != EVERY_TARGET:
        given = every[every["name"] == _GIVEN].sort_values("head")
        axes.plot(given["head"], given["mean"], color="#999999", linewidth=2.4, zorder=1, label="all tokens")
    axes.set_xticks(sorted(every["head"].unique()))
    axes.set_ylim(-0.03, 1.03)


def _draw_steps(axes: Axes, rows: pd.DataFrame, lines: Mapping[Series, tuple[str, Look]]) -> None:
    """Draw tokens per forward against tokens seen in training, `x`, a line for each condition."""
    for name in dict.fromkeys(name for name, _ in lines):
        look = next(look for (condition, _), (_, look) in lines.items() if condition == name)
        part = rows[rows["condition"] == name].sort_values("x")
        axes.plot(part["x"], part["mean"], markersize=3.5, **look.options)
        axes.fill_between(part["x"], part["low"], part["high"], color=look.colour, alpha=0.15, linewidth=0)
    log_axis(axes, "training tokens seen", rows["x"])
    axes.set_ylim(bottom=1)
    axes.set_title("tokens per forward pass", fontsize="small")
