"""Helpers for the frames that figures read and the tables that they return."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from lab.metrics import Metric
from lab.stats.bootstrap import FEWEST
from lab.stats.conditions import Conditions, describe_states, varied_settings
from lab.stats.configurations import Rule, configuration_table, run_values


def end_table(found: Conditions, metric: str, rule: Rule = "last", axis: Sequence[str] = ()) -> pd.DataFrame:
    """Compute the end value of each condition.

    Args:
        found: From `lab.stats.configurations.finished_with`.
        metric: Name of the metric, such as `accuracy/copy/1`.
        rule: Which evaluation of a run counts, see `lab.stats.configurations.run_values`.
        axis: Columns, beside the condition, by which runs are grouped.

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

    def rank(column: pd.Series) -> pd.Series:
        return column.map(names.index) if column.name == "condition" else column

    return table.sort_values(keys, key=rank, ignore_index=True)


def configuration_settings(found: Conditions) -> pd.DataFrame:
    """Return one row for each condition: `condition`, and every setting that varies."""
    settings = varied_settings(found.frame)
    return found.frame.drop_duplicates("condition")[["condition", *settings]].astype({"condition": "str"})


def heads_of(frame: pd.DataFrame, whole: Metric) -> list[Metric]:
    """Return the metrics of a frame that are of one attention head each, within the site of another metric."""
    found = map(Metric.parse, frame["metric"].unique())
    same = [each for each in found if (each.name, each.variant) == (whole.name, whole.variant)]
    return [each for each in same if each.attention_head is not None and each.site.startswith(whole.site)]


def chance_lines(frame: pd.DataFrame) -> dict[str, float]:
    """Return the prefix-matching score of uniform attention, for `reference`; nothing where the runs do not have it."""
    values = sorted(frame.loc[frame["metric"] == str(Metric("prefix_matching/chance")), "value"].unique())
    return {"chance" if len(values) == 1 else f"chance {value:.2g}": float(value) for value in values}


def attach_notes(table: pd.DataFrame, found: Conditions) -> pd.DataFrame:
    """Store in `attrs["notes"]` of a table which runs were left out, and why."""
    table.attrs["notes"] = found.notes
    return table


def unfinished_note(found: Conditions) -> list[str]:
    """Return a line that names the runs whose events are censored since they have not ended; none if all have."""
    if "state" not in found.frame or (ended := found.frame["state"].isin(["finished", "diverged"])).all():
        return []
    return [f"not finished, observed so far: {describe_states(found.frame[~ended])}"]


def describe_seeds(table: pd.DataFrame) -> str:
    """Describe the number of seeds of the rows of a table, with a caution where they are few."""
    few = f"; fewer than {FEWEST} seeds say little" if table["seeds"].min() < FEWEST else ""
    return f"{format_range(table['seeds'])} seed{'s' if table['seeds'].max() > 1 else ''}{few}"


def describe_means(table: pd.DataFrame, shown: str = "interval") -> str:
    """Describe means over seeds, with their interval, shown as a `band` or otherwise, if a row has one."""
    interval = f" and 90 % bootstrap {shown}" if table["low"].notna().any() else ""
    return f"mean{interval} over {describe_seeds(table)}"


def format_range(counts: pd.Series) -> str:
    """Format the range of some counts, as `3 to 6`."""
    low, high = int(counts.min()), int(counts.max())
    return f"{low}" if low == high else f"{low} to {high}"


def seed_columns(rows: pd.DataFrame) -> list[str]:
    """Return the columns of single seeds that have a value in these rows."""
    return [name for name in rows.columns if str(name).startswith("seed ") and rows[name].notna().any()]
