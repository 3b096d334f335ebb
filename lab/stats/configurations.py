"""Configurations: one value per run, its mean and interval over seeds, and conditions compared on the same seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from lab.errors import LabError
from lab.metrics import Metric
from lab.stats.bootstrap import bootstrap_interval
from lab.stats.conditions import Conditions, conditions, enumerated, finished, require_one_configuration, rows_of
from lab.stats.paired import ALPHA, corrected, least_p_of_pairs, paired_comparison, require_one_run_per_seed

Rule = Literal["last", "best"]


def run_values(frame: pd.DataFrame, metric: str, rule: Rule = "last") -> pd.DataFrame:
    """Return the value of a metric of every finished run.

    Args:
        frame: A tidy frame (`lab.frame`).
        metric: As `accuracy/copy/1`.
        rule: `last`: at the last evaluation; `best`: the best evaluation (the paper's rule in section 4.1: the largest, of a
            loss the smallest). The best of many noisy points flatters all conditions, and the noisier more.

    Returns:
        One row for each finished run: the frame's columns at that evaluation.
    """
    frame = finished(frame)
    rows = frame[frame["metric"] == metric].sort_values(["run", "step"])
    if rule == "last":
        return rows.groupby("run", sort=False).tail(1).reset_index(drop=True)
    rows = rows[rows["value"].notna()]
    picked = rows.groupby("run", sort=False)["value"]
    return rows.loc[picked.idxmin() if Metric.parse(metric).lower_is_better else picked.idxmax()].reset_index(drop=True)


def tuning_values(frame: pd.DataFrame, metric: str, rule: Rule = "last") -> pd.DataFrame:
    """Return the value of a metric of every finished run, as `run_values`, and a row without one for every diverged run.

    Raises:
        LabError: If no run is finished.
    """
    diverged = frame[frame["state"] == "diverged"].drop_duplicates("run").assign(metric=metric, value=np.nan)
    return pd.concat([run_values(frame, metric, rule), diverged], ignore_index=True)


def describe_value(value: float, form: str = ".4g") -> str:
    """Format a value of `tuning_values`."""
    return "diverged" if math.isnan(value) else f"{value:{form}}"


def finished_with(
    frame: pd.DataFrame, metric: str, rule: Rule, by: Sequence[str] | None = None, axis: Sequence[str] = ()
) -> Conditions:
    """Return the conditions of the finished runs whose end value is a finite number.

    Raises:
        LabError: If there is no such run; see also `lab.stats.conditions.conditions`.
    """
    found = conditions(rows_of(frame, metric), by, axis=axis, keep="finished")
    values = run_values(found.frame, metric, rule)
    counts = found.frame["run"].isin(values.loc[np.isfinite(values["value"]), "run"])
    if counts.all():
        return found
    lost, total = found.frame.loc[~counts, "run"].unique().tolist(), found.frame["run"].nunique()
    line = f"{len(lost)} of {total} runs left out, {metric} is not a finite number: {enumerated(lost)}"
    if not counts.any():
        raise LabError(line)
    kept = found.frame[counts]
    return Conditions(kept, found.table[found.table["condition"].isin(kept["condition"])], (*found.notes, line))


LEVELS_AT_MOST = 8
"""Numbers with more different values than these are a range, not levels."""


def is_range(column: pd.Series) -> bool:
    """Return whether a setting's values are numbers of a range, not levels."""
    return pd.api.types.is_numeric_dtype(column) and column.nunique() > LEVELS_AT_MOST


def is_logarithmic(low: float, high: float) -> bool:
    """Return whether a range is logarithmic: positive, and spanning a factor of ten."""
    return low > 0 and high / low >= 10


def configuration_table(values: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Compute mean and 90 % bootstrap interval of every configuration.

    Args:
        values: From `run_values`.
        by: The columns that make a configuration.

    Returns:
        The columns of `by`, then `mean`, `low`, `high` (nan below five seeds) and `seeds`, the number of its runs.

    Raises:
        LabError: If runs of a configuration differ in a setting.
    """
    require_one_configuration(values, by)
    rows = []
    for key, part in values.groupby(list(by), sort=True, dropna=False):
        if "seed" in part and part["seed"].duplicated().any():
            raise LabError(f"several runs of {', '.join(map(str, key))} have one seed and the same settings: keep one of them")
        interval = bootstrap_interval(part["value"].to_numpy(float))
        rows.append([*key, interval.mean, interval.low, interval.high, interval.n])
    return pd.DataFrame(rows, columns=[*by, "mean", "low", "high", "seeds"])


def seed_table(values: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Compute the mean of every configuration and list its values, for too few seeds for an interval.

    Args:
        values: From `run_values`.
        by: The columns that make a configuration.

    Returns:
        The columns of `by`, then `mean` (not a number if a run diverged) and `each seed`, the values in the order of their
        seeds.
    """
    rows = []
    for key, part in values.groupby(list(by), sort=True, dropna=False, observed=True):
        each = part.sort_values("seed")["value"]
        rows.append([*key, float(each.mean(skipna=False)), " ".join(map(describe_value, each))])
    return pd.DataFrame(rows, columns=[*by, "mean", "each seed"])


def comparison_table(
    values: pd.DataFrame, column: str = "n_future", baseline: object = 1, within: Sequence[str] = ()
) -> pd.DataFrame:
    """Compare every condition with the baseline on the seeds that both have, separately for each value of `within`.

    Args:
        values: From `run_values`.
        column: The column that names the condition.
        baseline: Its value for the condition that the others are compared with.
        within: Columns in which compared runs agree, as the model's size.

    Returns:
        The columns of `within`, `column`, then `pairs`, `difference` (to the baseline), its 90 % interval `low`, `high`,
        `p_value` (exact sign-flip permutation), `p_holm`, corrected over all rows, `p_least`, the least that this can be with
        these numbers of pairs and rows, and `found`, whether it is at most `ALPHA`. Conditions without a common seed are left
        out, and are not counted in the correction.

    Raises:
        LabError: If a condition has several runs of one seed, or runs that differ in a setting.
    """
    require_one_configuration(values, [*within, column])
    rows = []
    groups = [((), values)] if not within else [(key, part) for key, part in values.groupby(list(within), sort=True)]
    for key, part in groups:
        base = require_one_run_per_seed(part[part[column] == baseline], f"{column} = {baseline}").set_index("seed")["value"]
        for value, others in part[part[column] != baseline].groupby(column, sort=True):
            other = require_one_run_per_seed(others, f"{column} = {value}").set_index("seed")["value"]
            seeds = base.index.intersection(other.index).sort_values()
            if seeds.empty:
                continue
            found = paired_comparison(base[seeds].to_numpy(float), other[seeds].to_numpy(float))
            rows.append([*key, value, found.n, found.difference, found.low, found.high, found.p_value])
    columns = [*within, column, "pairs", "difference", "low", "high", "p_value"]
    table = pd.DataFrame(rows, columns=columns)
    table = corrected(table, "p_value", [least_p_of_pairs(pairs) for pairs in table["pairs"]])
    return table.assign(found=table["p_holm"] <= ALPHA)
