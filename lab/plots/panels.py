"""Figures of many conditions in several panels, so that the lines of each panel can be distinguished."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.errors import LabError
from lab.plots.axes import figure_note, figure_of, legend_below, line_handles, new_axes, note, shared_legend
from lab.plots.page import columns_of, new_figure
from lab.plots.style import LOOKS, Look, looks
from lab.stats.conditions import Conditions, labels_of

LINES_AT_MOST, PANELS_AT_MOST = 6, 12
"""Lines of a panel, if a setting can be divided into panels; panels of a figure."""
Lines = Mapping[str, tuple[str, Look]]
"""The lines of a panel: label and look by condition."""


def split(found: Conditions) -> dict[str, dict[str, str]]:
    """Distribute conditions over panels by the last of their settings, where one panel would have too many lines.

    Returns:
        The labels of lines by the panel's name and the condition; the name of a single panel is empty.

    Raises:
        LabError: If there are more than 12 panels, or more than 12 lines in one.
    """
    table, settings = found.table, found.settings
    for inside in range(len(settings), 0, -1):
        outside = settings[inside:]
        names = labels_of(table[outside]) if outside else ["" for _ in range(len(table))]
        labels = labels_of(table[settings[:inside]])
        panels: dict[str, dict[str, str]] = {name: {} for name in names}
        for condition, name, label in zip(table["condition"], names, labels, strict=True):
            panels[name][condition] = label
        most = max(map(len, panels.values()))
        if most <= LINES_AT_MOST or (inside == 1 and most <= len(LOOKS)):
            break
    if most > len(LOOKS) or len(panels) > PANELS_AT_MOST:
        reject_more(found, 0, f"{PANELS_AT_MOST} panels of {LINES_AT_MOST} lines")
    return panels


def reject_more(found: Conditions, most: int, room: str) -> None:
    """Reject more conditions than a figure has room for.

    Raises:
        LabError: If there are more; it names the settings to restrict.
    """
    if len(found.table) > most:
        settings = ", ".join(found.settings)
        raise LabError(f"{len(found.table)} conditions are too many for one figure ({room}): keep fewer values of {settings}")


def in_panels(
    found: Conditions,
    draw: Callable[[Axes, Lines], None],
    note_lines: Sequence[str],
    axes: Axes | None = None,
) -> Figure:
    """Draw conditions, in several panels if they are many.

    Args:
        found: The conditions.
        draw: Draws some of them into axes.
        note_lines: Lines above the figure; reasons why runs are left out follow.
        axes: Where to draw all of them; by default a new figure's.

    Returns:
        The figure.
    """
    panels = split(found) if axes is None else {"": dict.fromkeys(found.table["condition"], "")}
    if len(panels) == 1:
        own = {condition: condition for (each,) in [panels.values()] for condition in each}
        axes = axes or new_axes()
        draw(axes, {condition: (condition, look) for (condition, look) in zip(own, looks(own).values(), strict=True)})
        legend_below(axes)
        note(axes, *note_lines, *found.notes)
        return figure_of(axes)
    columns = columns_of(len(panels), 2 if len(panels) in (2, 4) else 3)
    rows = -(-len(panels) // columns)
    figure = new_figure(0.9 + 2.4 * columns, 1.0 + 2.1 * rows)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    look = looks(label for lines in panels.values() for label in lines.values())
    for place, (name, lines) in enumerate(panels.items()):
        panel = grid.flat[place]
        draw(panel, {condition: (label, look[label]) for condition, label in lines.items()})
        panel.set_title(name, fontsize="small")
        if place + columns < len(panels):
            panel.set_xlabel("")
        else:
            panel.tick_params(labelbottom=True)
        if place % columns:
            panel.set_ylabel("")
    for panel in grid.flat[len(panels) :]:
        panel.remove()
    handles = line_handles(grid.flat[: len(panels)])
    shared_legend(figure, {str(label): handles[str(label)] for label in [*look, *handles] if str(label) in handles})
    figure_note(figure, [*note_lines, *found.notes])
    return figure
