"""The page that a figure is drawn for: its size, style, title and labels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal, get_args

from matplotlib import style as mpl_style
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine, TightLayoutEngine

from lab.errors import LabError

Style = Literal["notebook", "paper", "talk"]
COLUMN, PAGE = 3.25, 6.75
"""Width of one and of two columns of a paper, inches (those of ICML)."""
FONTS: dict[str, float] = {"notebook": 9.0, "paper": 8.5, "talk": 14.0}
"""Points of labels; ticks, legends and notes are smaller by a sixth."""
_UNITS = {"mm": 1 / 25.4, "cm": 1 / 2.54, "in": 1.0}
_SMALLEST, _LARGEST = 1.5, 40.0
"""Sides of a figure, inches."""
_FLATTEST = 0.85
"""Least share of its height that a figure keeps on a narrower page."""
_SETTINGS = {
    "figure.dpi": 110,
    "savefig.dpi": 200,
    "axes.titlesize": "medium",
    "axes.labelsize": "medium",
    "legend.fontsize": "small",
    "xtick.labelsize": "small",
    "ytick.labelsize": "small",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


@dataclass(frozen=True)
class Page:
    """The page that a figure is drawn for.

    Attributes:
        width: `column` or `page` (one or two columns of a paper), a length such as `85mm`, `8.5cm` or `3.3in`, or inches; None
            for the figure's own.
        height: A length; None for one that suits the width.
        title: Above the figure.
        ylim: Limits of the vertical axis of the first panel, and of those that share it.
        labels: New texts by the condition's name in the figure.
        style: `notebook`, `paper` (text of 7 to 8.5 points, one or two columns wide) or `talk` (large).
    """

    width: str | float | None = None
    height: str | float | None = None
    title: str = ""
    ylim: tuple[float, float] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    style: Style = "notebook"

    def __post_init__(self) -> None:
        if self.style not in get_args(Style):
            raise LabError(f"style must be {', '.join(get_args(Style))}, not {self.style!r}")
        for name in ("width", "height"):
            _inches(name, getattr(self, name))
        if self.ylim is not None and not -float("inf") < self.ylim[0] < self.ylim[1] < float("inf"):
            raise LabError(f"ylim must be two finite numbers, the lower one first, not {self.ylim[0]:g}, {self.ylim[1]:g}")

    @property
    def font(self) -> float:
        """Points of labels."""
        return FONTS[self.style]

    @property
    def scale(self) -> float:
        """Size of text and of figures relative to a notebook's."""
        return self.font / FONTS["notebook"]

    def width_for(self, own: float) -> float:
        """Return the width in inches of a figure whose own width is given."""
        width = _inches("width", self.width)
        if width is not None:
            return width
        return (COLUMN if own < 1.6 * COLUMN else PAGE) if self.style == "paper" else own * self.scale

    def height_for(self, own: float, narrower: float) -> float:
        """Return the height in inches of a figure whose own height is given, and how much narrower it is than its own width."""
        height = _inches("height", self.height)
        return own * self.scale * min(1.0, max(_FLATTEST, narrower)) if height is None else height


_CURRENT: ContextVar[Page | None] = ContextVar("page", default=None)


def current_page() -> Page:
    """Return the page that is drawn for."""
    return _CURRENT.get() or Page()


@contextmanager
def style(page: Page | None = None) -> Iterator[None]:
    """Apply the style inside the context, and draw figures for a page; settings of matplotlib are restored afterwards."""
    page = page or Page()
    token = _CURRENT.set(page)
    try:
        with mpl_style.context({**_SETTINGS, "font.size": page.font}):
            yield
    finally:
        _CURRENT.reset(token)


def new_figure(width: float, height: float) -> Figure:
    """Create an empty figure of the current page's size.

    Args:
        width: The figure's own width, inches; a page may be narrower.
        height: The figure's own height, inches.
    """
    page = current_page()
    wide = page.width_for(width)
    return Figure(figsize=(wide, page.height_for(height, wide / (width * page.scale))), layout="constrained")


def columns_of(panels: int, most: int, panel: float = 2.4, least: float = 1.2) -> int:
    """Return in how many columns panels stand on the current page.

    Args:
        panels: Their number.
        most: Columns of the figure on a page of its own.
        panel: Width of a panel on a page of its own, inches.
        least: Width that a panel needs with its labels, inches.
    """
    page = current_page()
    columns = min(panels, most)
    fit = int((page.width_for(0.9 + panel * columns) / page.scale - 0.6) / least)
    return max(1, min(columns, fit))


def grow(figure: Figure, lines: int) -> None:
    """Add room for some lines of small text to a figure's height, unless the page sets it."""
    if current_page().height is None:
        figure.set_figheight(figure.get_figheight() + 0.17 * current_page().scale * lines)


def arrange_header(figure: Figure, title: str = "") -> None:
    """Reserve the room above the panels for a title and the note, which is the figure's `suptitle`."""
    page, note = current_page(), figure.get_suptitle()
    heights = [1.7 * page.font * bool(title), 1.02 * page.font * (note.count("\n") + 1) * bool(note)]
    tall = figure.get_figheight() * 72
    top = 1 - 3 / tall
    if title:
        figure.text(0.01, top, title, ha="left", va="top", fontsize="medium", fontweight="bold")
    figure.suptitle(note, x=0.01, y=top - heights[0] / tall, ha="left", va="top", fontsize="small", color="#555555")
    engine = figure.get_layout_engine()
    if isinstance(engine, (ConstrainedLayoutEngine, TightLayoutEngine)):
        engine.set(rect=(0, 0, 1, top - sum(heights) / tall))


def _inches(name: str, length: str | float | None) -> float | None:
    """Return a length in inches.

    Raises:
        LabError: If it is none, or no side of a figure.
    """
    if length is None:
        return None
    if name == "width" and length in ("column", "page"):
        return COLUMN if length == "column" else PAGE
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+) ?(mm|cm|in)", length) if isinstance(length, str) else None
    inches = float(found[1]) * _UNITS[found[2]] if found else length
    if isinstance(inches, str) or not _SMALLEST <= inches <= _LARGEST:
        words = "column, page, or " if name == "width" else ""
        raise LabError(f"{name} must be {words}a length from 38mm to 1016mm, such as 85mm, 8.5cm or 3.3in, not {length!r}")
    return float(inches)
