"""Activation patching as heat maps: layers by positions, a panel for each kind of component and each condition."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
from matplotlib.figure import Figure

from lab.errors import LabError
from lab.metrics import Metric
from lab.plots.axes import figure_note
from lab.plots.cells import DIVERGING, Scale, colour_bar, draw_cells
from lab.plots.page import new_figure
from lab.plots.panels import reject_more
from lab.plots.tables import attach_notes, describe_seeds
from lab.runs.names import role_label
from lab.stats.inspected import last_means

_SCALES = {"restored": "restored by the clean state", "removed": "removed by the corrupted state"}
_COMPONENTS = {"residual": "residual\nstream", "attention": "attention", "mlp": "MLP", "attention head": "attention heads"}
_CONDITIONS_AT_MOST = 4
_CELL_WIDTH, _CELL_HEIGHT = 0.42, 0.21
"""Inches."""


def draw_patching(
    frame: pd.DataFrame, *, by: Sequence[str] | None = None, quantity: str = "restored"
) -> tuple[Figure, pd.DataFrame]:
    """Draw the share of the logit difference that each state carries, at the last step of each run.

    Args:
        frame: From `lab.inspect("patching", ...)`.
        by: Settings that distinguish conditions, separated by commas; by default all that vary.
        quantity: `restored` or `removed`.

    Returns:
        The figure, and the means with their 90 % intervals over seeds.

    Raises:
        LabError: For another quantity, more than 4 conditions, if no run has a share, and as `condition_means`.
    """
    if quantity not in _SCALES:
        raise LabError(f"quantity must be one of {', '.join(_SCALES)}, not {quantity!r}")
    coordinates = ["component", "site", "attention_head", "position", "role", "quantity"]
    table, found = last_means(frame, coordinates, by)
    reject_more(found, _CONDITIONS_AT_MOST, f"{_CONDITIONS_AT_MOST} columns of panels")
    drawn, names = table[table["quantity"] == quantity], list(found.table["condition"])
    if drawn.empty:
        raise LabError("patching: no clean run prefers the right answer more than the corrupted run: nothing to share out")
    scale = Scale(f"share of the logit difference\n{_SCALES[quantity]}", -1.0, 1.0, DIVERGING)
    figure = _draw_panels(drawn, names, scale, role_label(frame))
    figure_note(figure, [f"mean over {describe_seeds(table)}", *_differences(table), *found.notes])
    return figure, attach_notes(table, found)


def _draw_panels(drawn: pd.DataFrame, names: Sequence[str], scale: Scale, label: Callable[[str], str] | None) -> Figure:
    """Draw the means as heat maps: a row of panels for each kind of component, a column for each condition."""
    parts = {kind: drawn[drawn["component"] == kind] for kind in _COMPONENTS if kind in set(drawn["component"])}
    rows = {kind: part[["site", "attention_head"]].drop_duplicates() for kind, part in parts.items()}
    columns = drawn[["position", "role"]].drop_duplicates()
    heights = [len(each) for each in rows.values()]
    size = (2.6 + _CELL_WIDTH * len(columns) * len(names), 1.7 + _CELL_HEIGHT * sum(heights) + 0.15 * len(heights))
    figure = new_figure(*size)
    panels = figure.subplots(len(parts), len(names), squeeze=False, sharex=True, sharey="row", height_ratios=heights)
    ticks = [_position_label(position, role, label) for position, role in columns.itertuples(index=False)]
    for line, (kind, part) in zip(panels, parts.items(), strict=True):
        labels = [_row_label(site, head) for site, head in rows[kind].itertuples(index=False)]
        for axes, name in zip(line, names, strict=True):
            values = part[part["condition"] == name].pivot_table(
                index=["site", "attention_head"], columns=["position", "role"], values="mean", dropna=False
            )
            wanted = pd.MultiIndex.from_frame(rows[kind]), pd.MultiIndex.from_frame(columns)
            matrix = values.reindex(index=wanted[0], columns=wanted[1]).to_numpy(float)
            image = draw_cells(axes, matrix, labels, ticks, scale)
            axes.label_outer()
        line[0].set_ylabel(_COMPONENTS[kind])
    for axes, name in zip(panels[0], names, strict=True):
        axes.set_title(name, fontsize="small")
    for axes in panels[-1]:
        axes.tick_params(axis="x", labelrotation=90)
        axes.set_xlabel("position of the patched state")
    colour_bar(image, list(panels.ravel()), scale, aspect=30)
    return figure


def _row_label(site: str, attention_head: int) -> str:
    layer = site if site == "embedding" else Metric("", site=site).site_label
    return layer if attention_head < 0 else f"{layer}: {attention_head}"


def _position_label(position: str, role: str, label: Callable[[str], str] | None) -> str:
    words = position.replace("+", " + ").replace("-", " \N{MINUS SIGN} ")
    return f"{words}\n({label(role) if label else role})" if role else words


def _differences(table: pd.DataFrame) -> list[str]:
    """Return a line for each condition with the logit differences that are shared out."""
    rows = table[table["component"] == "none"]
    lines = []
    for name, part in rows.groupby("condition", observed=True):
        mean = part.set_index("quantity")["mean"]
        lines.append(f"{name}: logit difference {mean['clean']:.2g} clean, {mean['corrupted']:.2g} corrupted")
    return lines
