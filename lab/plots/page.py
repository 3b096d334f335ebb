"""The page that a figure is drawn for: its size, its style and what is written on it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

import pandas as pd
from matplotlib import style as mpl_style
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator

from lab.errors import LabError
from tasks.errors import nearest

Style = Literal["notebook", "paper", "talk"]
COLUMN, PAGE = 3.25, 6.75
"""Width of one and of two columns of a paper, inches (those of ICML)."""
FONTS: dict[str, float] = {"notebook": 9.0, "paper": 8.5, "talk": 14.0}
"""Points of labels; ticks, legends and notes are smaller by a sixth."""
_UNITS = {"mm": 1 / 25.4, "cm": 1 / 2.54, "in": 1.0}
_SMALLEST, _LARGEST = 1.5, 40.0
"""Sides of a figure, inches."""
_PANEL, _SLACK = 0.4, 0.02
"""The least side of a panel, and what may hang over the edge, inches."""
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
        style: `notebook`, `paper` (text of 7 to 8 points, one or two columns wide) or `talk` (large).
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


def columns_of(panels: int, most: int, panel: float = 2.4) -> int:
    """Return in how many columns panels stand on the current page.

    Args:
        panels: Their number.
        most: Columns of the figure on a page of its own.
        panel: Width of a panel on a page of its own, inches.
    """
    page = current_page()
    columns = min(panels, most)
    fit = int((page.width_for(0.9 + panel * columns) / page.scale - 0.6) / min(panel, 1.2))
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
    if engine is not None:
        engine.set(rect=(0, 0, 1, top - sum(heights) / tall))  # type: ignore[call-arg]


def draw(
    draw_figure: Callable[..., tuple[Figure, pd.DataFrame]], frame: pd.DataFrame, *arguments: Any, page: Page, **options: Any
) -> tuple[Figure, pd.DataFrame]:
    """Draw a figure for a page.

    Args:
        draw_figure: A figure of `lab.plots`, or a function of your own with the same arguments and results.
        frame: A tidy frame.
        arguments: Further arguments of the figure, such as the metric.
        page: Size, style, title, limits and labels.
        options: Options of the figure.

    Returns:
        The figure, and its numbers.

    Raises:
        LabError: If the figure has no condition of `labels`, `ylim` without a vertical axis of numbers, or no room on the page.
    """
    with style(page):
        figure, table = draw_figure(frame, *arguments, **options)
        _rename(figure, page.labels)
        if page.ylim is not None:
            _limit(figure, page.ylim)
        if page.title:
            grow(figure, 1)
            arrange_header(figure, page.title)
        if page.scale > 1:
            _thicken(figure, page.scale)
        check_room(figure)
    return figure, table


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


def _rename(figure: Figure, labels: Mapping[str, str]) -> None:
    """Replace names of conditions in legends, titles and ticks: where they stand alone, else where they are part of a text."""
    for condition, label in labels.items():
        name = re.escape(condition)
        for pattern in map(re.compile, (rf"^{name}(?=$|:)", rf"(?<![\w.]){name}(?![\w.])")):
            if _replace(figure, pattern, label):
                break
        else:
            known = [text.get_text() for legend in _legends(figure) for text in legend.get_texts()]
            known += [axes.get_title() for axes in figure.axes if axes.get_title()]
            raise LabError(f"label: the figure has no condition {condition!r}; {nearest(condition, known)}")


def _replace(figure: Figure, pattern: re.Pattern[str], label: str) -> bool:
    """Replace a pattern in all texts of a figure, and return whether there was one."""
    text_of, found = label.replace("\\", "\\\\"), False
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        ticks = [tick.get_text() for tick in axis.get_ticklabels()]
        if any(map(pattern.search, ticks)):
            found = True
            axis.set_ticklabels([pattern.sub(text_of, tick) for tick in ticks])
    for text in cast(list[Text], figure.findobj(Text)):
        if pattern.search(text.get_text()):
            found = True
            text.set_text(pattern.sub(text_of, text.get_text()))
    return found


def _legends(figure: Figure) -> list[Legend]:
    return [*figure.legends, *(legend for axes in figure.axes if (legend := axes.get_legend()))]


def _limit(figure: Figure, limits: tuple[float, float]) -> None:
    """Set the limits of the vertical axis of the first panel; panels that share it follow."""
    first = figure.axes[0]
    if first.images or isinstance(first.yaxis.get_major_locator(), FixedLocator):
        raise LabError("ylim: the figure has no vertical axis of numbers")
    first.set_ylim(limits)


def _thicken(figure: Figure, scale: float) -> None:
    """Scale lines and markers with the text."""
    for line in cast(list[Line2D], figure.findobj(Line2D)):
        line.set_linewidth(line.get_linewidth() * scale)
        line.set_markersize(line.get_markersize() * scale)


def check_room(figure: Figure) -> None:
    """Reject a figure whose panels have no room, or whose text is cut off.

    Raises:
        LabError: Stating the sides of the figure.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a layout that leaves no room
        figure.draw_without_rendering()
    wide, tall = figure.get_size_inches()
    box = figure.get_tightbbox()
    panels = [axes.get_position() for axes in figure.axes if axes.axison]
    narrow = any(panel.width * wide < _PANEL or panel.height * tall < _PANEL for panel in panels)
    if narrow or box.x0 < -_SLACK or box.y0 < -_SLACK or box.x1 > wide + _SLACK or box.y1 > tall + _SLACK:
        size = f"{wide * 25.4:.0f}mm x {tall * 25.4:.0f}mm"
        raise LabError(f"the figure has no room on {size}: give more width or height, or draw fewer conditions")
