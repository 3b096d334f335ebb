"""A study as a whole: a metric over conditions and sizes, as a heat map with intervals and as lines (Fig 7 and 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.errors import LabError
from lab.metrics import Metric
from lab.plots.axes import count, figure_of, log_axis, metric_label, new_axes, note, reference
from lab.plots.curves import noted, seed_columns, seed_count
from lab.plots.panels import Lines, in_panels, reject_more
from lab.plots.style import LUMINANCE
from lab.stats.bootstrap import FEWEST
from lab.stats.conditions import Conditions, conditions, enumerated, rows_of, varied_settings
from lab.stats.configurations import Rule, configuration_table, run_values

PARAMETERS = "non-embedding parameters"
ROWS_AT_MOST = 24


def ended(
    frame: pd.DataFrame, metric: str, rule: Rule, by: Sequence[str] | None = None, axis: Sequence[str] = ()
) -> Conditions:
    """Conditions of the finished runs whose metric ends with a number.

    Raises:
        LabError: If there is no such run; see also `lab.stats.conditions.conditions`.
    """
    found = conditions(rows_of(frame, metric), by, axis=axis, keep="finished")
    numbers = run_values(found.frame, metric, rule).dropna(subset="value")["run"]
    counts = found.frame["run"].isin(numbers)
    if counts.all():
        return found
    lost = found.frame.loc[~counts, "run"].unique()
    line = f"{len(lost)} of {found.frame['run'].nunique()} runs left out, {metric} is not a number: {enumerated(list(lost))}"
    if not counts.any():
        raise LabError(line)
    kept = found.frame[counts]
    return Conditions(kept, found.table[found.table["condition"].isin(kept["condition"])], (*found.notes, line))


def end_table(found: Conditions, metric: str, rule: Rule = "last", axis: Sequence[str] = ()) -> pd.DataFrame:
    """What each condition reached: the numbers that figures of end values draw.

    Args:
        found: From `ended`.
        metric: Name of the metric, such as `accuracy/copy/1`.
        rule: Which evaluation of a run counts, see `lab.stats.configurations.run_values`.
        axis: Further columns that a cell agrees in.

    Returns:
        `condition` and the columns of `axis`, then `mean`, `low`, `high` (90 % bootstrap interval over seeds; none below 5),
        `seeds`, and `seed <s>`, the value of each.
    """
    values = run_values(found.frame, metric, rule)
    keys = ["condition", *axis]
    each = values.pivot(index=keys, columns="seed", values="value").rename(columns=lambda seed: f"seed {seed}").reset_index()
    table = configuration_table(values.astype({"condition": "str"}), keys)
    table = table.merge(each.astype({"condition": "str"}), on=keys, validate="one_to_one")
    names = list(found.table["condition"])
    return table.sort_values(keys, key=lambda column: column.map(names.index) if column.name == "condition" else column,
                             ignore_index=True)  # fmt: skip


def cell_settings(found: Conditions) -> pd.DataFrame:
    """One row for each condition: `condition`, and every setting that varies."""
    settings = varied_settings(found.frame)
    return found.frame.drop_duplicates("condition")[["condition", *settings]].astype({"condition": "str"})


def by_size(frame: pd.DataFrame, metric: str, by: Sequence[str] | None, rule: Rule) -> tuple[Conditions, pd.DataFrame]:
    """Conditions of the finished runs, and what each reached at each size.

    Sizes are non-embedding parameters to two digits: conditions that are matched in size differ by less.
    """
    rows = rows_of(frame, metric)
    rows = rows.assign(parameters=[float(f"{value:.1e}") for value in rows["parameters"]])
    found = ended(rows, metric, rule, by, ["parameters"])
    return found, end_table(found, metric, rule, ["parameters"])


def size(
    frame: pd.DataFrame,
    metric: str,
    *,
    by: Sequence[str] | None = None,
    rule: Rule = "last",
    lines: Mapping[str, float] | None = None,
    axes: Axes | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """Draw a metric against model size, a line for each condition.

    Args:
        frame: A tidy frame with a column `parameters`.
        metric: Name of the metric, such as `accuracy/copy/1`.
        by: Settings that distinguish conditions beside the size; by default all that vary.
        rule: `last` or `best` evaluation of each finished run.
        lines: Reference values by name.
        axes: Where to draw; by default a new figure's.

    Returns:
        The figure, and the numbers drawn: see `end_table`.
    """
    found, table = by_size(frame, metric, by, rule)

    def draw(panel: Axes, shown: Lines) -> None:
        single = table["parameters"].nunique() == 1
        for place, (condition, (label, look)) in enumerate(shown.items()):
            rows = table[table["condition"] == condition]
            if single:  # side by side
                rows = rows.assign(parameters=rows["parameters"] * 1.04 ** (place - (len(shown) - 1) / 2))
                reach = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
                panel.errorbar(rows["parameters"], rows["mean"], yerr=np.nan_to_num(reach), color=look.colour, linewidth=0.9)
            panel.plot(rows["parameters"], rows["mean"], color=look.colour, linestyle=look.line, marker=look.marker,
                       markersize=4.5, label=label)  # fmt: skip
            panel.fill_between(rows["parameters"], rows["low"], rows["high"], color=look.colour, alpha=0.18, linewidth=0)
            draw_seeds(panel, rows, "parameters", look.colour)
        reference(panel, lines or {})
        log_axis(panel, PARAMETERS, table["parameters"])
        panel.set_ylabel(metric_label(metric, frame) + (", best evaluation" if rule == "best" else ""))

    return in_panels(found, draw, interval_note(table, "band"), axes), noted(table, found)


def grid(
    frame: pd.DataFrame,
    metric: str,
    *,
    by: Sequence[str] | None = None,
    rule: Rule = "last",
    axes: Axes | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """Draw a metric over conditions and model sizes, each combination with its interval.

    Args:
        frame: A tidy frame with a column `parameters`.
        metric: Name of the metric, such as `accuracy/copy/1`.
        by: Settings that distinguish conditions beside the size; by default all that vary.
        rule: `last` or `best` evaluation of each finished run.
        axes: Where to draw; by default a new figure's.

    Returns:
        The figure, and the numbers drawn: see `end_table`.

    Raises:
        LabError: If there are more than 24 conditions.
    """
    found, table = by_size(frame, metric, by, rule)
    names, sizes = list(table["condition"].unique()), sorted(table["parameters"].unique())
    reject_more(found, ROWS_AT_MOST, f"{ROWS_AT_MOST} rows")
    matrix = table.pivot(index="condition", columns="parameters", values="mean").loc[names, sizes].to_numpy(float)
    axes = axes or new_axes(max(3.8, 0.5 + 0.07 * max(map(len, names)) + 1.05 * len(sizes)), 1.1 + 0.46 * len(names))
    low, high = (0.0, 1.0) if not Metric.parse(metric).lower_is_better else (float(np.nanmin(matrix)), float(np.nanmax(matrix)))
    image = axes.imshow(matrix, cmap="cividis", aspect="auto", vmin=low, vmax=high)
    colours = image.to_rgba(np.nan_to_num(matrix))
    for row in table.to_dict("records"):
        place = names.index(row["condition"]), sizes.index(row["parameters"])
        dark = colours[*place, :3] @ LUMINANCE < 0.5
        axes.text(
            place[1], place[0], cell_text(row), ha="center", va="center", color="white" if dark else "black", fontsize=7.5
        )
    axes.set_xticks(range(len(sizes)), [count(value) for value in sizes])
    axes.set_yticks(range(len(names)), names)
    axes.grid(visible=False)
    axes.set_xlabel(PARAMETERS)
    note(axes, metric_label(metric, frame, width=200), f"mean [90 % interval] over {seed_count(table)}", *found.notes)
    return figure_of(axes), noted(table, found)


def cell_text(row: Mapping[Any, Any]) -> str:
    """A cell in words: mean and interval, or how many seeds where they are too few for one."""
    seeds = int(row["seeds"])
    few = f"{seeds} seed{'s' if seeds > 1 else ''}"
    return f"{row['mean']:.2f}\n" + (few if seeds < FEWEST else f"[{row['low']:.2f}, {row['high']:.2f}]")


def draw_seeds(axes: Axes, rows: pd.DataFrame, x: str, colour: str) -> None:
    """Each seed's value as a small open circle, where seeds are too few for an interval."""
    few = rows[(rows["seeds"] > 1) & (rows["seeds"] < FEWEST)]
    for name in seed_columns(few):
        axes.plot(
            few[x], few[name], linestyle="none", marker="o", markersize=2.5, markerfacecolor="none", color=colour, alpha=0.8
        )


def interval_note(table: pd.DataFrame, what: str) -> list[str]:
    """What the intervals are and how many seeds stand behind them."""
    if table["seeds"].max() == 1:
        return ["one seed a point: no interval"]
    few = "" if table["seeds"].min() >= FEWEST else f", small circles: seeds where they are fewer than {FEWEST}"
    shown = f"mean and 90 % bootstrap {what}" if table["seeds"].max() >= FEWEST else "mean"
    return [f"{shown} over {seed_count(table).partition(';')[0]}{few}"]
