"""A study as a whole: a metric over n and size, as a heat map with intervals and as a line for each n (Fig 7 and 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter, NullLocator

from lab.analysis.cells import Rule, cell_table, lower_is_better, run_values
from lab.analysis.statistics import FEWEST
from lab.errors import LabError
from lab.plots.arms import with_arms
from lab.plots.curves import band_note, describe, new_axes, reference, seed_count
from lab.plots.style import LUMINANCE, looks
from tasks.errors import nearest

PARAMETERS = "non-embedding parameters"


def study_cells(frame: pd.DataFrame, metric: str, by: Sequence[str], rule: Rule = "last") -> pd.DataFrame:
    """One row for each arm and size: the numbers that both figures draw.

    Sizes are non-embedding parameters to two digits: arms that are matched in size differ by less.

    Args:
        frame: A tidy frame with a column `parameters`.
        metric: As `accuracy/copy/1`.
        by: Columns that tell arms apart.
        rule: Which evaluation of a run counts, see `lab.analysis.cells.run_values`.

    Returns:
        `arm`, `parameters`, `mean`, `low`, `high` (90 % bootstrap interval over seeds), `seeds`.

    Raises:
        LabError: If no run has the metric.
    """
    values = run_values(frame, metric, rule)
    if values.empty:
        raise LabError(f"no run has a metric {metric!r}; {nearest(metric, set(frame['metric']))}")
    values = values.assign(parameters=[float(f"{count:.1e}") for count in values["parameters"]])
    named = with_arms(values, by)
    table = cell_table(named.astype({"arm": "str"}), ["arm", "parameters"])
    order = {str(arm): place for place, arm in enumerate(named["arm"].cat.categories)}
    return table.sort_values(["arm", "parameters"], key=lambda column: column.map(order) if column.name == "arm" else column)


def size(
    frame: pd.DataFrame,
    metric: str,
    *,
    by: Sequence[str] = ("n_future",),
    rule: Rule = "last",
    lines: Mapping[str, float] | None = None,
    axes: Axes | None = None,
) -> tuple[Axes, pd.DataFrame]:
    """A metric against the model's size, a line for each arm with its 90 % interval.

    Args:
        frame: A tidy frame.
        metric: As `accuracy/copy/1`.
        by: Columns that tell arms apart.
        rule: `last` or `best` evaluation of each run.
        lines: Reference values by name.
        axes: Where to draw; by default a new figure's.

    Returns:
        The axes, and the numbers drawn.
    """
    table = study_cells(frame, metric, by, rule)
    axes = axes or new_axes()
    for arm, look in looks(table["arm"].unique()).items():
        rows = table[table["arm"] == arm]
        axes.plot(rows["parameters"], rows["mean"], color=look.colour, linestyle=look.line, marker=look.marker,
                  markersize=4.5, label=arm)  # fmt: skip
        if rows["seeds"].max() > 1:
            axes.fill_between(rows["parameters"], rows["low"], rows["high"], color=look.colour, alpha=0.18, linewidth=0)
    reference(axes, lines or {})
    log_axis(axes, PARAMETERS, table["parameters"])
    axes.set_ylabel(describe(metric) + (", best evaluation" if rule == "best" else ""))
    axes.legend(loc="best", handlelength=3, facecolor="white", edgecolor="none", framealpha=0.9)
    axes.set_title(band_note(table), loc="left", color="#555555", fontsize=7.5)
    return axes, table


def grid(
    frame: pd.DataFrame, metric: str, *, by: Sequence[str] = ("n_future",), rule: Rule = "last", axes: Axes | None = None
) -> tuple[Axes, pd.DataFrame]:
    """A metric over arms (rows) and sizes (columns), each cell with its mean, 90 % interval and number of seeds."""
    table = study_cells(frame, metric, by, rule)
    arms, sizes = list(table["arm"].unique()), sorted(table["parameters"].unique())
    matrix = table.pivot_table(index="arm", columns="parameters", values="mean").loc[arms, sizes].to_numpy(float)
    axes = axes or new_axes(1.5 + 1.05 * len(sizes), 0.9 + 0.62 * len(arms))
    low, high = (0.0, 1.0) if not lower_is_better(metric) else (float(np.nanmin(matrix)), float(np.nanmax(matrix)))
    image = axes.imshow(matrix, cmap="cividis", aspect="auto", vmin=low, vmax=high)
    colours = image.to_rgba(np.nan_to_num(matrix))
    for row in table.to_dict("records"):
        place = arms.index(row["arm"]), sizes.index(row["parameters"])
        dark = colours[*place, :3] @ LUMINANCE < 0.5
        axes.text(
            place[1], place[0], cell_text(row), ha="center", va="center", color="white" if dark else "black", fontsize=7.5
        )
    axes.set_xticks(range(len(sizes)), [EngFormatter(sep="")(value) for value in sizes])
    axes.set_yticks(range(len(arms)), arms)
    axes.grid(visible=False)
    axes.set_xlabel(PARAMETERS)
    what = describe(metric).replace("\n", " ")
    axes.set_title(f"{what}\nmean [90 % interval] over {seed_count(table)}", loc="left", fontsize=8)
    return axes, table


def cell_text(row: Mapping[Any, Any]) -> str:
    """A cell in words: mean and interval, or how many seeds where they are too few for one."""
    seeds = int(row["seeds"])
    few = f"{seeds} seed{'s' if seeds > 1 else ''}"
    return f"{row['mean']:.2f}\n" + (few if seeds < FEWEST else f"[{row['low']:.2f}, {row['high']:.2f}]")


def log_axis(axes: Axes, label: str, values: pd.Series) -> None:
    """A logarithmic axis with ticks that do not overlap, for counts."""
    axes.set_xscale("log")
    spread = float(values.max() / max(values.min(), 1e-12))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if spread < 100 else (1,)))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_formatter(NullFormatter())
    if spread < 100:
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(label)
