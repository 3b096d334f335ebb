"""The looks of lines: they differ for colour-blind readers and in grey."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from lab.errors import LabError


class Look(NamedTuple):
    """Colour, line style and marker of a condition."""

    colour: str
    line: str | tuple[int, tuple[int, ...]]
    marker: str

    @property
    def place(self) -> int:
        """Its place among the looks."""
        return _MARKERS.index(self.marker) if self.marker in _MARKERS else 0

    @property
    def options(self) -> dict[str, Any]:
        """The look as arguments of `Axes.plot`."""
        return {"color": self.colour, "linestyle": self.line, "marker": self.marker}


_COLOURS = ("#000000", "#D55E00", "#56B4E9", "#B08D00", "#5B2A86", "#8FCB6B")
"""Hues of Okabe and Ito's palette, ordered so that neighbours differ in lightness as well."""
_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)), (0, (1, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "<", "*", ">", "h")
LOOKS = tuple(
    Look(_COLOURS[place % 6], _LINES[(place + 3 * (place // 6)) % 6], marker) for place, marker in enumerate(_MARKERS)
)
"""No two share a marker, and of the same colour no two share a line."""

LUMINANCE = (0.2126, 0.7152, 0.0722)
"""Weights of red, green and blue in relative luminance."""


def looks(names: Iterable[object]) -> dict[object, Look]:
    """Assign each name a look, in order; all differ.

    Raises:
        LabError: If there are more than `LOOKS`.
    """
    names = list(dict.fromkeys(names))
    if len(names) > len(LOOKS):
        raise LabError(f"{len(names)} lines are too many for one panel, at most {len(LOOKS)}: name fewer runs")
    return dict(zip(names, LOOKS, strict=False))
