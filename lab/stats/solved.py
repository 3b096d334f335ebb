"""The share of runs that solve a task, where a mean over runs that do and runs that do not describes neither."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from lab.errors import LabError
from lab.metrics import Metric
from lab.stats.bootstrap import counted, escaped_share
from lab.stats.conditions import ended_early, enumerated
from lab.stats.configurations import Rule, run_values
from lab.stats.emergence import ONSET, emergence_table
from lab.stats.survival import median_time


def solved_table(frame: pd.DataFrame, metric: str, threshold: float, by: Sequence[str], rule: Rule = "last") -> pd.DataFrame:
    """Count the runs of each condition that solved the task, and compute when half of them had begun to.

    A run has solved it if its value is at or above the threshold, of a loss at or below. A run that diverged has not. Of one
    that ended early (`evaluation.stop`) below the threshold this is not known: its condition has no share, since runs
    that end early differ from the others.

    Args:
        frame: The rows of runs that finished or diverged.
        metric: Name of the metric, such as `exact`.
        threshold: Value that counts as solved.
        by: Columns that make a condition.
        rule: Which evaluation of a run counts, see `lab.stats.configurations.run_values`.

    Returns:
        One row for each condition: the columns of `by`, `solved_threshold`, `solved` of `solved_of` runs, their `solved_share`
        with its exact 90 % interval `solved_low`, `solved_high`, and `onset`: the tokens by which half of the runs had reached
        0.5 (Kaplan and Meier), of metrics that are fractions. NaN where one of them is not known, and where fewer than half
        reached it.
    """
    runs = _runs(frame, metric, threshold, rule)
    rows = []
    for condition, part in runs.groupby(list(by), sort=True):
        known = not part["unknown"].any()
        share = escaped_share(part["solved"])
        numbers = [int(part["solved"].sum()), share.n, share.mean, share.low, share.high]
        own = frame[frame["run"].isin(part["run"])]
        rows.append([*condition, threshold, *(numbers if known else [math.nan] * 5), _onset(own, metric, by)])
    columns = ["solved", "solved_of", "solved_share", "solved_low", "solved_high"]
    table = pd.DataFrame(rows, columns=[*by, "solved_threshold", *columns, "onset"])
    return table.astype({"solved": "Int64", "solved_of": "Int64"})


def notes_on_solved(frame: pd.DataFrame, metric: str, threshold: float, rule: Rule = "last") -> list[str]:
    """Name the runs that did not solve the task since they diverged, and those of which it is not known.

    Arguments as `solved_table`.
    """
    runs = _runs(frame, metric, threshold, rule)
    diverged, unknown = runs.loc[runs["diverged"], "run"].tolist(), int(runs["unknown"].sum())
    notes = [f"diverged, so that they count as not solved: {enumerated(diverged)}"] if diverged else []
    if unknown:
        early = f"of {counted(unknown, 'run')} that ended early (evaluation.stop)"
        notes.append(f"whether they solve it is not known {early}: choose a threshold that they passed")
    return notes


def _runs(frame: pd.DataFrame, metric: str, threshold: float, rule: Rule) -> pd.DataFrame:
    """Return one row for each run that diverged or has a value, with `solved`, `diverged` and `unknown`."""
    runs = frame.drop_duplicates("run")
    values = run_values(frame.drop(columns="state", errors="ignore"), metric, rule).set_index("run")["value"]
    value = runs["run"].map(values)
    passed = value <= threshold if Metric.parse(metric).lower_is_better else value >= threshold
    diverged = runs["state"] == "diverged" if "state" in runs else pd.Series(False, index=runs.index)
    runs = runs.assign(solved=passed & ~diverged, diverged=diverged, unknown=ended_early(runs) & ~passed & ~diverged)
    return runs[value.notna() | diverged]


def _onset(frame: pd.DataFrame, metric: str, by: Sequence[str]) -> float:
    """Return the tokens by which half of the runs had reached one half; NaN of a metric that is no fraction."""
    if Metric.parse(metric).unit != "fraction":
        return math.nan
    try:
        times = emergence_table(frame, metric, thresholds={"onset": ONSET}, by=by)
    except LabError:  # runs that ended early, before they reached it
        return math.nan
    return median_time(times["onset"].tolist(), times["onset_observed"].tolist())
