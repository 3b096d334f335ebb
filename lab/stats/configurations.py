"""Cells of a study: one value a run, its mean and interval over seeds, and every arm against the first on the same seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pandas as pd

from lab.errors import LabError
from lab.metrics import Metric
from lab.stats.bootstrap import bootstrap_interval
from lab.stats.conditions import finished, require_one_configuration
from lab.stats.paired import ALPHA, corrected, least_p_of_pairs, one_run_a_seed, paired_comparison

Rule = Literal["last", "best"]


def run_values(frame: pd.DataFrame, metric: str, rule: Rule = "last") -> pd.DataFrame:
    """What every finished run reached.

    Args:
        frame: A tidy frame (`lab.frame`).
        metric: As `accuracy/copy/1`.
        rule: `last`: at the last evaluation; `best`: the best evaluation (the paper's rule in section 4.1: the largest, of a
            loss the smallest). The best of many noisy points flatters all arms, and the noisier more.

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


LEVELS_AT_MOST = 8
"""Numbers with more different values than these are a range, not levels."""


def is_range(column: pd.Series) -> bool:
    """Whether a setting's values are to be read as numbers of a range, not as levels."""
    return pd.api.types.is_numeric_dtype(column) and column.nunique() > LEVELS_AT_MOST


def is_logarithmic(low: float, high: float) -> bool:
    """Whether a range is to be read by factors: it is positive and spans one of ten."""
    return low > 0 and high / low >= 10


def cell_table(values: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Mean and 90 % bootstrap interval of every cell.

    Args:
        values: From `run_values`.
        by: The columns that make a cell.

    Returns:
        The columns of `by`, then `mean`, `low`, `high` (nan below five seeds) and `seeds`, how many runs stand behind it.

    Raises:
        LabError: If runs of a cell differ in a setting.
    """
    require_one_configuration(values, by)
    rows = []
    for cell, part in values.groupby(list(by), sort=True, dropna=False):
        if "seed" in part and part["seed"].duplicated().any():
            raise LabError(f"several runs of {', '.join(map(str, cell))} have one seed and the same settings: keep one of them")
        interval = bootstrap_interval(part["value"].to_numpy(float))
        rows.append([*cell, interval.mean, interval.low, interval.high, interval.n])
    return pd.DataFrame(rows, columns=[*by, "mean", "low", "high", "seeds"])


def seed_table(values: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Mean of every cell and the values behind it, for cells of too few seeds for an interval.

    Args:
        values: From `run_values`.
        by: The columns that make a cell.

    Returns:
        The columns of `by`, then `mean` and `each seed`, the values in the order of their seeds.
    """
    rows = []
    for cell, part in values.groupby(list(by), sort=True, dropna=False, observed=True):
        each = part.sort_values("seed")["value"]
        rows.append([*cell, float(each.mean()), " ".join(f"{value:.4g}" for value in each)])
    return pd.DataFrame(rows, columns=[*by, "mean", "each seed"])


def comparison_table(
    values: pd.DataFrame, arm: str = "n_future", baseline: object = 1, within: Sequence[str] = ()
) -> pd.DataFrame:
    """Every arm against the baseline, on the seeds that both have, in every cell of `within`.

    Args:
        values: From `run_values`.
        arm: The column that tells arms apart.
        baseline: Its value for the arm that the others are compared with.
        within: Columns in which compared runs agree, as the model's size.

    Returns:
        The columns of `within`, the arm's, then `pairs`, `difference` (arm minus baseline), its 90 % interval `low`, `high`,
        `p_value` (exact sign-flip permutation), `p_holm`, corrected over all rows, `p_least`, the least that this can be with
        so many pairs and rows, and `found`, whether it is at most `ALPHA`. Arms without a common seed are left out, and are not
        counted in the correction.

    Raises:
        LabError: If in a cell an arm has several runs of one seed, or runs that differ in a setting.
    """
    require_one_configuration(values, [*within, arm])
    rows = []
    cells = [((), values)] if not within else [(key, part) for key, part in values.groupby(list(within), sort=True)]
    for cell, part in cells:
        base = one_run_a_seed(part[part[arm] == baseline], f"{arm} = {baseline}").set_index("seed")["value"]
        for value, others in part[part[arm] != baseline].groupby(arm, sort=True):
            other = one_run_a_seed(others, f"{arm} = {value}").set_index("seed")["value"]
            seeds = base.index.intersection(other.index).sort_values()
            if seeds.empty:
                continue
            found = paired_comparison(base[seeds].to_numpy(float), other[seeds].to_numpy(float))
            rows.append([*cell, value, found.n, found.difference, found.low, found.high, found.p_value])
    columns = [*within, arm, "pairs", "difference", "low", "high", "p_value"]
    table = pd.DataFrame(rows, columns=columns)
    table = corrected(table, "p_value", [least_p_of_pairs(pairs) for pairs in table["pairs"]])
    return table.assign(found=table["p_holm"] <= ALPHA)
