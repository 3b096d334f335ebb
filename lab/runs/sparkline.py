"""A curve as a line of text."""

from __future__ import annotations

import math
from collections.abc import Sequence

_BLOCKS, _ASCII = "▁▂▃▄▅▆▇█", "_.-:=+*#"


def sparkline(values: Sequence[float], low: float, high: float, width: int, *, ascii_only: bool = False) -> str:
    """Return a curve as characters of growing height, `?` where a value is not a number.

    Args:
        values: Of the curve, at equal distances; of more than `width` some are left out, never the last.
        low: The value of the lowest character.
        high: The value of the highest.
        width: Characters, at least 1.
        ascii_only: Whether a terminal shows no other characters.
    """
    levels = _ASCII if ascii_only else _BLOCKS
    count = min(width, len(values))
    shown = [values[-1 - (len(values) - 1) * back // max(1, count - 1)] for back in reversed(range(count))]
    span = high - low if high > low else 1.0
    return "".join(
        "?" if math.isnan(value) else levels[round(min(1.0, max(0.0, (value - low) / span)) * (len(levels) - 1))]
        for value in shown
    )
