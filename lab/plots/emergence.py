"""A metric against training: a line for each condition with its band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.plots.axes import metric_label, reference
from lab.plots.curves import band_note, bands, draw_band, finish
from lab.plots.panels import Lines, in_panels
from lab.plots.tables import attach_notes
from lab.stats.conditions import conditions, rows_of


def emergence(
    frame: pd.DataFrame,
    metric: str,
    *,
    by: Sequence[str] | None = None,
    x: str = "tokens",
    lines: Mapping[str, float] | None = None,
    per_seed: bool = False,
    axes: Axes | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """Draw a metric against tokens seen, a line with its band for each condition.

    Args:
        frame: A tidy frame.
        metric: Name of the metric, such as `accuracy/copy/1`.
        by: Settings that distinguish conditions, separated by commas; by default all that vary.
        x: The x-axis: tokens, scored, sequences, steps, flops or seconds.
        lines: Reference values by name, as `{"chance": 1 / 32}`, drawn as thin lines.
        per_seed: Draw a thin line for each seed in place of the band.
        axes: Where to draw; by default a new figure's, with a panel for some conditions each if they are many.

    Returns:
        The figure, and the numbers drawn: see `band_table`.
    """
    found = conditions(rows_of(frame, metric), by, keep="not diverged")
    table = bands(found, [metric], x)

    def draw(panel: Axes, shown: Lines) -> None:
        for condition, (label, look) in shown.items():
            draw_band(panel, table[table["condition"] == condition], look, label, x, per_seed=per_seed)
        reference(panel, lines or {})
        finish(panel, table, metric_label(metric, frame), x)

    return in_panels(found, draw, band_note(table, x, per_seed=per_seed), axes), attach_notes(table, found)
