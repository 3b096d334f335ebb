"""Heat maps: a matrix as coloured cells with their values, and a colour bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from lab.plots.axes import figure_of
from lab.plots.page import current_page
from lab.plots.style import LUMINANCE

SEQUENTIAL, DIVERGING = "cividis", "RdGy_r"
"""Colour maps of values from a least one on, and of values around 0; both are legible in grey."""
_LEAST_CELL, _AROUND = 0.28, 0.9
"""Width of a cell that has room for its value, and of what stands beside a panel, inches of a notebook's figure."""


@dataclass(frozen=True)
class Scale:
    """The colours of a heat map.

    Attributes:
        label: Of the colour bar, with unit.
        low: Value of the first colour.
        high: Value of the last colour.
        colours: `SEQUENTIAL` or `DIVERGING`.
    """

    label: str
    low: float
    high: float
    colours: str = SEQUENTIAL

    @classmethod
    def around_zero(cls, label: str, values: NDArray[np.float64]) -> Scale:
        """Return a diverging scale that holds all values, with 0 in its middle."""
        most = float(np.nanmax(np.abs(values), initial=1e-9))
        return cls(label, -most, most, DIVERGING)


def draw_cells(
    axes: Axes, values: NDArray[np.float64], rows: Sequence[str], columns: Sequence[str], scale: Scale, form: str = "{:.2f}"
) -> AxesImage:
    """Draw a matrix as cells; missing values (nan) are left white.

    Args:
        axes: Where to draw.
        values: (rows, columns).
        rows: Labels of rows.
        columns: Labels of columns; of many, some.
        scale: Colours.
        form: Format of the value in a cell; cells that are too narrow show none.

    Returns:
        The image, for `colour_bar`.
    """

    def text(value: float) -> str:
        written = form.format(value)
        return written if written.strip("-0.") else written.lstrip("-")  # no minus before a zero

    texts = [["" if np.isnan(value) else text(value) for value in row] for row in values]
    image = draw_image(axes, values, scale, texts if _cell_width(axes, len(columns)) >= _LEAST_CELL else None)
    every = -(-len(columns) // 24)
    axes.set_xticks(range(0, len(columns), every), list(columns[::every]))
    axes.set_yticks(range(len(rows)), list(rows))
    return image


def _cell_width(axes: Axes, columns: int) -> float:
    """Estimate the width of a cell on the current page, in inches of a notebook's figure."""
    spec = axes.get_subplotspec()
    panels = 1 if spec is None else spec.get_gridspec().ncols
    return (figure_of(axes).get_figwidth() / current_page().scale / panels - _AROUND) / columns


def draw_image(
    axes: Axes, values: NDArray[np.float64], scale: Scale, texts: Sequence[Sequence[str]] | None = None
) -> AxesImage:
    """Draw the cells of a matrix, and in each a text, black or white as can be read on its colour.

    Args:
        axes: Where to draw.
        values: (rows, columns).
        scale: Colours.
        texts: Text of each cell, by row; None for none.

    Returns:
        The image.
    """
    image = axes.imshow(values, cmap=scale.colours, vmin=scale.low, vmax=scale.high, aspect="auto")
    axes.grid(visible=False)
    colours = image.to_rgba(values)
    for row, line in enumerate(texts or ()):
        for column, text in enumerate(line):
            dark = colours[row, column, :3] @ LUMINANCE < 0.5
            ink = "white" if dark else "black"
            axes.text(column, row, text, ha="center", va="center", color=ink, fontsize="small")
    return image


def colour_bar(image: AxesImage, panels: Sequence[Axes], scale: Scale, aspect: float = 20) -> None:
    """Draw one colour bar for some panels on their right, `aspect` times as tall as wide."""
    bar = figure_of(panels[0]).colorbar(image, ax=list(panels), shrink=0.9, pad=0.02, aspect=aspect)
    bar.set_label(scale.label)
    bar.outline.set_visible(False)
