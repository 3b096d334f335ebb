"""One look for all figures: fits a paper's column, safe for colour-blind readers, told apart in grey too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from matplotlib import style as mpl_style


class Look(NamedTuple):
    """How an arm is drawn."""

    colour: str
    line: str | tuple[int, tuple[int, ...]]
    marker: str


LOOKS = (
    Look("#000000", "-", "o"),
    Look("#D55E00", "--", "s"),
    Look("#56B4E9", "-.", "^"),
    Look("#B08D00", ":", "D"),
    Look("#5B2A86", (0, (5, 1, 1, 1)), "v"),
    Look("#8FCB6B", (0, (1, 1)), "P"),
)
"""Hues of Okabe and Ito's palette, ordered so that neighbours differ in lightness, line and marker as well."""

LUMINANCE = (0.2126, 0.7152, 0.0722)
"""Weights of red, green and blue in what an eye, or a grey print, sees as lightness."""

_SETTINGS = {
    "figure.dpi": 110,
    "savefig.dpi": 200,
    "savefig.bbox": "tight",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in this look inside, without changing anybody's settings."""
    with mpl_style.context(_SETTINGS):
        yield


def looks(arms: Iterable[object]) -> dict[object, Look]:
    """A look for each arm, in order."""
    return {arm: LOOKS[position % len(LOOKS)] for position, arm in enumerate(arms)}
