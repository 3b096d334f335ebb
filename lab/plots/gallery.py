"""Instances of a task as cells, one for each token, coloured by the role of the target; answers are framed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lab.plots.page import style
from lab.plots.style import LUMINANCE
from lab.runs.outputs import MARK

WIDTH = 66.0
"""Width of a picture, in units of 0.105 inches."""
_INCHES, _CELL, _LINE, _GAP = 0.105, 1.6, 1.75, 0.6
"""Inches of a unit; height of a cell, of a line of cells, and of the gap between instances, in units."""


class Role(NamedTuple):
    """A role of target positions.

    Attributes:
        name: Name in the task.
        floor: Irreducible loss, nats; None where it has no closed form.
    """

    name: str
    floor: float | None


class Cell(NamedTuple):
    """A token.

    Attributes:
        row: Number of the instance.
        word: Its text.
        role: Number of its role, from 1.
        answer: Whether it is part of an answer.
    """

    row: int
    word: str
    role: int
    answer: bool


class _Place(NamedTuple):
    left: float
    top: float
    width: float


def picture(cells: Sequence[Cell], roles: Sequence[Role], title: str) -> Figure:
    """Draw cells like words on a page, and a legend of their roles; legible in grey, since roles have numbers.

    Args:
        cells: The tokens of all instances, in order.
        roles: All roles but padding, in the order of their numbers.
        title: Title of the picture.
    """
    places = _flow([(cell.row, max(1.7, 0.62 * len(cell.word) + 1.1)) for cell in cells], _LINE, _GAP)
    below = places[-1].top + _LINE + 0.6
    entries = _legend_entries(roles)
    legend = _flow([(0, 3.6 + 0.54 * len(entry)) for entry in entries], _LINE, 0.0)
    depth = below + legend[-1].top + 1.8
    colours = role_colours(len(roles))
    with style():
        figure = Figure(figsize=((WIDTH + 1) * _INCHES, (depth + 2.6) * _INCHES))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(-0.5, WIDTH + 0.5)
        axes.set_ylim(depth, -2.6)
        axes.axis("off")
        axes.text(0, -1.2, title, fontsize=8.5, va="center")
        for cell, place in zip(cells, places, strict=True):
            _draw_cell(axes, cell, place, colours[cell.role - 1])
        for number, (entry, (left, top, _)) in enumerate(zip(entries, legend, strict=True), start=1):
            _draw_cell(
                axes, Cell(0, str(number), number, False), _Place(left, below + top, 1.8), colours[number - 1], legend=True
            )
            axes.text(left + 2.2, below + top + _CELL / 2, entry, va="center", fontsize=7)
    return figure


def role_colours(roles: int) -> list[str]:
    """Return a colour for each role, from light to dark, so that neighbours differ in grey as well.

    The first is the palest, since the first role usually has the most positions.
    """
    return ["#efece2", *(to_hex(colormaps["viridis"](0.92 - 0.75 * number / max(roles - 2, 4))) for number in range(roles - 1))]


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21; text needs 4.5 (WCAG 2.2)."""
    low, high = sorted(0.05 + _luminance(colour) for colour in (one, other))
    return high / low


def png(figure: Figure) -> bytes:
    """Return the picture as a PNG that names its maker; the same picture gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, bbox_inches=None, metadata={"Software": None, "Comment": MARK})
    return buffer.getvalue()


def _legend_entries(roles: Sequence[Role]) -> list[str]:
    """Return the text of each role in the legend."""
    return [role.name if role.floor is None else f"{role.name} (floor {role.floor:.3g})" for role in roles]


def _luminance(colour: str) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return sum(weight * part for weight, part in zip(LUMINANCE, linear, strict=True))


def _flow(pieces: Sequence[tuple[int, float]], line: float, gap: float) -> list[_Place]:
    """Place pieces of (group, width) one after another like words; a new group begins a new line after a gap."""
    places: list[_Place] = []
    left = top = 0.0
    before = pieces[0][0]
    for group, width in pieces:
        if group != before:
            left, top, before = 0.0, top + line + gap, group
        elif left + width > WIDTH:
            left, top = 0.0, top + line
        places.append(_Place(left, top, width))
        left += width
    return places


def _draw_cell(axes: Axes, cell: Cell, place: _Place, colour: str, *, legend: bool = False) -> None:
    left, top, width = place
    ink = max(("black", "white"), key=lambda text: contrast(text, colour))
    edge, line, above = ("#000000", 1.6, 3) if cell.answer else ("#FFFFFF", 0.8, 2)
    axes.add_patch(Rectangle((left, top), width, _CELL, facecolor=colour, edgecolor=edge, linewidth=line, zorder=above))
    axes.text(
        left + width / 2, top + (0.8 if legend else 0.66), cell.word, ha="center", va="center", fontsize=7, color=ink, zorder=4
    )
    if not legend:
        axes.text(left + width - 0.18, top + 1.54, str(cell.role), ha="right", va="bottom", fontsize=4, color=ink, zorder=4)
