"""Draw a figure for a page, and finish it: titles, limits, names of conditions, and a check that everything has room."""

from __future__ import annotations

import re
import textwrap
import warnings
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, cast

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator

from lab.errors import LabError
from lab.plots.page import Page, arrange_header, grow, style
from tasks.errors import nearest

_PANEL, _SLACK = 0.4, 0.02
"""The least side of a panel, and what may hang over the edge, inches."""
_LEAST_LABEL = 12
"""Characters of a line of a label, at least."""


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
        for _ in range(2):  # ticks that are turned leave less room
            _fit_labels(figure)
        check_room(figure)
    return figure, table


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


def _fit_labels(figure: Figure) -> None:
    """Break titles of panels and labels of axes that are longer than their panel, and turn ticks that overlap."""
    _lay_out(figure)
    for axes in figure.axes:
        panel, overhang = axes.get_window_extent(), 0.3 * figure.dpi
        for text, room, tall in (
            (axes.title, panel.width + overhang / 3, False),
            (axes.xaxis.label, panel.width + overhang / 3, False),
            (axes.yaxis.label, panel.height + overhang / 3, True),
        ):
            words, box = text.get_text(), text.get_window_extent()
            length = box.height if tall else box.width
            if words and length > room:
                characters = int(max(map(len, words.split("\n"))) * room / length)
                text.set_text(textwrap.fill(words.replace("\n", " "), max(_LEAST_LABEL, characters)))
        ticks = [tick.get_window_extent() for tick in axes.get_xticklabels() if tick.get_text() and tick.get_visible()]
        if any(left.x1 > right.x0 for left, right in pairwise(sorted(ticks, key=lambda box: float(box.x0)))):
            axes.tick_params(axis="x", labelrotation=90)


def _lay_out(figure: Figure) -> None:
    """Place the panels, and draw nothing: drawing would take half as long again."""
    engine = figure.get_layout_engine()
    if engine is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a layout that leaves no room: `check_room` raises
            engine.execute(figure)
    for axes in figure.axes:
        if axes.get_axes_locator() is None:
            axes.apply_aspect()


def check_room(figure: Figure) -> None:
    """Reject a figure whose panels have no room, or whose text is cut off.

    Raises:
        LabError: Stating the sides of the figure.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a layout that leaves no room
        figure.draw_without_rendering()
    wide, tall = figure.get_size_inches()
    whole = figure.get_tightbbox()
    panels = [axes.get_position() for axes in figure.axes if axes.axison and axes.get_label() != "<colorbar>"]
    narrow = any(panel.width * wide < _PANEL or panel.height * tall < _PANEL for panel in panels)
    texts = [text.get_window_extent().y0 / figure.dpi for text in figure.texts if text.get_text()]
    header = [low for low in texts if low > tall / 2]
    boxes = [box for axes in figure.axes if axes.axison and (box := axes.get_tightbbox())]
    high = max((each.y1 for each in boxes), default=0.0) / figure.dpi
    outside = min(whole.x0, whole.y0, wide - whole.x1, tall - whole.y1, min([tall, *header]) - high) < -_SLACK
    if narrow or outside:
        size = f"{wide * 25.4:.0f}mm x {tall * 25.4:.0f}mm"
        raise LabError(f"the figure has no room on {size}: give more width or height, or draw fewer conditions")
