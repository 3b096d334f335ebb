"""Prefix matching against training, in the trunk and in the prediction heads."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.metrics import Metric
from lab.plots.axes import reference
from lab.plots.curves import band_note, bands, draw_band, finish
from lab.plots.panels import Lines, in_panels
from lab.plots.tables import attach_notes, chance_lines, heads_of
from lab.stats.conditions import conditions, rows_of

SITES = {"trunk": "trunk", "prediction": "prediction heads"}


def induction(
    frame: pd.DataFrame, *, by: Sequence[str] | None = None, per_seed: bool = False, axes: Axes | None = None
) -> tuple[Figure, pd.DataFrame]:
    """Draw the prefix-matching score of the strongest attention head against tokens seen.

    Trunk and prediction heads have separate lines, and the legend has the number of attention heads where the frame has them.

    Args:
        frame: A tidy frame.
        by: Settings that distinguish conditions, separated by commas; by default all that vary.
        per_seed: Draw a thin line for each seed in place of the band.
        axes: Where to draw; by default a new figure's.

    Returns:
        The figure, and the numbers drawn: see `band_table`.
    """
    parts = {str(Metric("prefix_matching", site=site)): label for site, label in SITES.items()}
    present = [metric for metric in parts if len(frame) and (frame["metric"] == metric).any()]
    found = conditions(rows_of(frame, *present or parts), by, keep="not diverged")
    table = bands(found, present)

    def draw(panel: Axes, shown: Lines) -> None:
        for condition, (label, look) in shown.items():
            for metric, part in parts.items():
                rows = table[(table["condition"] == condition) & (table["metric"] == metric)]
                if not rows.empty:  # colour and marker show the condition, the line style shows the part
                    runs = found.frame.loc[found.frame["condition"] == condition, "run"]
                    heads = len(heads_of(frame[frame["run"].isin(runs)], Metric.parse(metric)))
                    best_of = f" (best of {heads})" if heads else ""
                    own = look._replace(line="-" if part == "trunk" else ":")
                    draw_band(panel, rows, own, f"{label}, {part}{best_of}", per_seed=per_seed)
        reference(panel, chance_lines(frame))
        finish(panel, table, "induction score (prefix matching)\nof the strongest attention head")
        panel.set_ylim(-0.02, 1.02)

    return in_panels(found, draw, band_note(table, per_seed=per_seed), axes), attach_notes(table, found)
