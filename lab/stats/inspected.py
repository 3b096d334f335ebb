"""Means over seeds and paired differences of values that an instrument measured in several runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from lab.stats.bootstrap import bootstrap_band
from lab.stats.conditions import Conditions, Keep, conditions, enumerated
from lab.stats.paired import corrected, least_p_of_pairs, paired_comparison, require_one_run_per_seed


class Means(NamedTuple):
    """Values of an instrument, averaged over seeds.

    Attributes:
        table: `condition` (ordered categories), `step`, the coordinates, then `mean`, `low`, `high` (90 % bootstrap interval
            over seeds; none below 5) and `seeds`.
        conditions: The conditions that were averaged, and notes about runs that were left out.
    """

    table: pd.DataFrame
    conditions: Conditions


def at_last_step(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of each run at its last step."""
    return frame[frame["step"] == frame.groupby("run")["step"].transform("max")]


def condition_means(frame: pd.DataFrame, coordinates: Sequence[str], by: Sequence[str] | None = None) -> Means:
    """Average values over seeds, for each condition, step and coordinate.

    Args:
        frame: From `lab.inspect`.
        coordinates: The columns that identify a value, such as its site and position.
        by: Settings that distinguish conditions; by default those that vary.

    Raises:
        LabError: As `lab.stats.conditions.conditions`.
    """
    found, rows = _with_conditions(frame, coordinates, by)
    return Means(_average(rows, coordinates), found)


def last_means(frame: pd.DataFrame, coordinates: Sequence[str], by: Sequence[str] | None = None) -> Means:
    """Average values at the last step of each run over seeds, for each condition and coordinate.

    Runs that are not finished can have different last steps: `step` is then the largest of the condition, and a note says so.
    Arguments and errors as `condition_means`.
    """
    found, rows = _with_conditions(at_last_step(frame), coordinates, by)
    steps = rows.groupby("condition", observed=True)["step"]
    low, high = steps.min(), steps.max()
    differ = [f"{name} ({low[name]} to {high[name]})" for name in low.index[low < high]]
    notes = [f"runs of a condition are at different last steps: {enumerated(differ)}"] if differ else []
    table = _average(rows.assign(step=steps.transform("max")), coordinates)
    return Means(table, found._replace(notes=(*found.notes, *notes)))


def mean_at_steps(means: Means, column: str) -> pd.Series:
    """Return the mean of a column, such as `tokens`, over the condition's runs at the step of each row of `means.table`."""
    at = means.conditions.frame.groupby(["condition", "step"], observed=True)[column].mean().rename("at")
    return means.table[["condition", "step"]].join(at, on=["condition", "step"])["at"]


def _average(rows: pd.DataFrame, coordinates: Sequence[str]) -> pd.DataFrame:
    """Compute the table of `Means`."""
    keys = ["condition", "step", *coordinates]
    wide = rows.pivot_table(index=keys, columns="seed", values="value", observed=True, sort=False)
    table = pd.DataFrame(index=wide.index, columns=["mean", "low", "high", "seeds"], dtype=float)
    for missing, part in wide.groupby(wide.isna().apply(tuple, axis=1), sort=False):  # points with the same seeds together
        low, mean, high = bootstrap_band(part.loc[:, ~np.array(missing)].to_numpy().T)
        table.loc[part.index] = np.column_stack([mean, low, high, np.full(len(part), (~np.array(missing)).sum())])
    return table.reset_index().astype({"seeds": int})


def paired_differences(frame: pd.DataFrame, coordinates: Sequence[str], by: Sequence[str] | None = None) -> pd.DataFrame:
    """Compare conditions pair by pair, seed by seed, at every step and coordinate that both have.

    Args:
        frame: From `lab.inspect`.
        coordinates: The columns that identify a value, such as its site and position.
        by: Settings that distinguish conditions; by default those that vary.

    Returns:
        `comparison` ("b against a"), `step`, the coordinates, `difference` (mean of b - a), `low`, `high` (its 90 % interval),
        `pairs`, `p_value` (exact sign-flip test), `p_holm` (corrected over the rows), `p_least` (the least that it can be).
        Empty for one condition.

    Raises:
        LabError: As `lab.stats.conditions.conditions`, and if a condition has several runs of a seed.
    """
    _, rows = _with_conditions(frame, coordinates, by)
    keys, names, compared = ["step", *coordinates], list(rows["condition"].cat.categories), []
    for name in names:
        require_one_run_per_seed(rows[rows["condition"] == name].drop_duplicates("run"), name)
    wide = rows.pivot_table(index=keys, columns=["condition", "seed"], values="value", observed=True, sort=False)
    for a, b in combinations(names, 2):
        seeds = [seed for seed in wide[a].columns if seed in wide[b].columns]
        of_both = np.stack([wide[name].reindex(columns=seeds).to_numpy() for name in (a, b)])
        for point, values in zip(wide.index.to_list(), of_both.swapaxes(0, 1), strict=True):
            pairs = values[:, np.isfinite(values).all(0)]
            if pairs.size:
                result = paired_comparison(*pairs)
                key = point if isinstance(point, tuple) else (point,)
                numbers = (result.difference, result.low, result.high, result.n, result.p_value)
                compared.append((f"{b} against {a}", *key, *numbers))
    table = pd.DataFrame(compared, columns=["comparison", *keys, "difference", "low", "high", "pairs", "p_value"])
    return corrected(table, "p_value", [least_p_of_pairs(pairs) for pairs in table["pairs"]])


def _with_conditions(
    frame: pd.DataFrame, coordinates: Sequence[str], by: Sequence[str] | None
) -> tuple[Conditions, pd.DataFrame]:
    """Return the conditions of the runs, and the values of the runs that count with their condition.

    Finished runs count; where there are none, all do.
    """
    described = frame.drop(columns=[*coordinates, "value"]).drop_duplicates(["run", "step"])
    keep: Keep = "finished" if "state" in frame and (frame["state"] == "finished").any() else "all"
    found = conditions(described.assign(metric="", value=0.0), by, keep=keep)
    condition = found.frame.drop_duplicates("run").set_index("run")["condition"]
    rows = frame[frame["run"].isin(condition.index)]
    named = pd.Categorical(rows["run"].map(condition), categories=found.table["condition"], ordered=True)
    return found, rows.assign(condition=named)
