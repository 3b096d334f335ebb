"""The two-token decomposition of the loss: its parts as bars, or over training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.errors import LabError
from lab.plots.axes import AXES, figure_note, legend_columns, line_handles, log_axis
from lab.plots.page import new_figure
from lab.plots.panels import LINES_AT_MOST, reject_more
from lab.plots.style import Look, looks
from lab.plots.tables import attach_notes, describe_means
from lab.runs.names import role_label
from lab.stats.conditions import Conditions
from lab.stats.inspected import Means, condition_means, last_means, mean_at_steps
from tasks.errors import nearest

PARTS = ("H(X|Y)", "I(X;Y)", "H(Y|X)")
_TITLES = ("X given Y: $H(X\\,|\\,Y)$", "shared: $I(X;Y)$", "Y given X: $H(Y\\,|\\,X)$")
_ROLES_AT_MOST = 4


def draw_information(frame: pd.DataFrame, *, by: Sequence[str] | None = None, roles: str = "") -> tuple[Figure, pd.DataFrame]:
    """Draw the parts of the next two tokens' loss: as bars, or over training where a run has several steps.

    Args:
        frame: From `lab.inspect("information", ...)`.
        by: Settings that distinguish conditions, separated by commas; by default all that vary.
        roles: Roles of the next token to draw, separated by commas, or `all`; by default the first four.

    Returns:
        The figure, and the means that it shows with their 90 % intervals over seeds.

    Raises:
        LabError: For an unknown role, more than 6 conditions, and as `condition_means`.
    """
    known = list(dict.fromkeys(frame["role"]))
    own = [role for role in known if role != "all"]
    chosen = [name.strip() for name in roles.split(",") if name.strip()] or own[:_ROLES_AT_MOST]
    for name in chosen:
        if name not in known:
            raise LabError(f"roles has no {name!r}; {nearest(name, known)}")
    shown = frame[frame["role"].isin(chosen) & frame["quantity"].isin(PARTS)]
    several = frame.groupby("run")["step"].nunique().max() > 1
    means = (condition_means if several else last_means)(shown, ["role", "source", "quantity"], by)
    reject_more(means.conditions, LINES_AT_MOST, f"{LINES_AT_MOST} conditions")
    label = role_label(frame) or str
    names = {role: label(role) for role in chosen}
    figure = _draw_curves(means, names) if several else _draw_bars(means.table, names, means.conditions)
    note = f"X next token, Y the one after; {describe_means(means.table)}"
    figure_note(
        figure,
        [note, "sum of the losses of X and Y: X given Y + 2 shared + Y given X", *means.conditions.notes],
    )
    return figure, attach_notes(means.table if several else means.table.drop(columns="step"), means.conditions)


def _draw_bars(table: pd.DataFrame, roles: dict[str, str], found: Conditions) -> Figure:
    """Draw a panel for each role, with a bar for each part and condition and a line for the part of the data."""
    look, places = looks(found.table["condition"]), np.arange(len(PARTS))
    figure = new_figure(0.9 + 2.5 * len(roles), 3.2)
    panels = figure.subplots(1, len(roles), sharey=True, squeeze=False)[0]
    width = 0.8 / len(look)
    for (role, label), axes in zip(roles.items(), panels, strict=True):
        rows = table[table["role"] == role].set_index("quantity")
        for number, (name, one) in enumerate(look.items()):
            own = rows[(rows["source"] == "model") & (rows["condition"] == name)].reindex(PARTS)
            x, mean = places + (number - (len(look) - 1) / 2) * width, own["mean"].to_numpy()
            axes.bar(x, mean, width * 0.9, color=one.colour, label=name, alpha=0.85)
            spread = np.abs(own[["low", "high"]].to_numpy().T - mean)
            axes.errorbar(x, mean, spread, fmt="none", ecolor="#555555", elinewidth=1, capsize=2)
        floors = rows.loc[rows["source"] == "data", "mean"].groupby("quantity").mean().reindex(PARTS)
        axes.hlines(floors, places - 0.45, places + 0.45, color="#777777", linestyle=(0, (3, 1)), label="in the data")
        axes.set_xticks(places, [title.replace(": ", "\n") for title in _TITLES])
        axes.set_title(label, fontsize="small")
        axes.axhline(0, color="black", linewidth=0.6)
    panels[0].set_ylabel("part of the loss, nats")
    _legend(figure, list(panels))
    return figure


def _draw_curves(means: Means, roles: dict[str, str]) -> Figure:
    """Draw a line of panels for each role, one for each part, with a line for each condition and one for the data."""
    x = "tokens" if means.conditions.frame["tokens"].notna().all() else "steps"
    table = means.table.assign(x=mean_at_steps(means, AXES[x][0]))
    table = table[table["x"] > 0]
    figure = new_figure(0.9 + 2.4 * len(PARTS), 1.2 + 1.9 * len(roles))
    panels = figure.subplots(len(roles), len(PARTS), sharex=True, sharey="row", squeeze=False)
    for (role, label), line in zip(roles.items(), panels, strict=True):
        for part, axes in zip(PARTS, line, strict=True):
            rows = table[(table["role"] == role) & (table["quantity"] == part)]
            for name, look in looks(means.conditions.table["condition"]).items():
                _draw_line(axes, rows[(rows["condition"] == name) & (rows["source"] == "model")], look, str(name))
            axes.axhline(
                rows.loc[rows["source"] == "data", "mean"].mean(), color="#777777", linestyle="--", label="in the data"
            )
            log_axis(axes, "", table["x"])
        line[0].set_ylabel(f"{label}, nats")
    for title, above, below in zip(_TITLES, panels[0], panels[-1], strict=True):
        above.set_title(title, fontsize="small")
        below.set_xlabel(AXES[x][1])
    _legend(figure, list(panels.flat))
    return figure


def _draw_line(axes: Axes, rows: pd.DataFrame, look: Look, label: str) -> None:
    rows = rows.sort_values("x")
    every = max(1, len(rows) // 8)
    mark = (look.place * every // 6 % every, every)
    axes.plot(rows["x"], rows["mean"], **look.options, markersize=4, markevery=mark, label=label)
    axes.fill_between(rows["x"], rows["low"], rows["high"], color=look.colour, alpha=0.18, linewidth=0)


def _legend(figure: Figure, panels: Sequence[Axes]) -> None:
    handles = line_handles(panels)
    columns = legend_columns(list(handles), figure.get_figwidth())
    figure.legend(handles.values(), handles.keys(), loc="outside lower left", ncols=columns, handlelength=3, frameon=False)
