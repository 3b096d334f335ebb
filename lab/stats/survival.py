"""Survival analysis of emergence: the share of runs still on the plateau, where some never escape it within their run.

A mean over the runs that did emerge would flatter the condition in which fewer do; these estimates use every run.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from lab.stats.bootstrap import LEVEL, Floats
from lab.stats.paired import ALPHA, EXACT_UP_TO, corrected, least_p_of_pairs, least_p_of_runs
from lab.stats.times import compare_emergence


def survival_curve(times: Sequence[float], observed: Sequence[bool], level: float = LEVEL) -> pd.DataFrame:
    """Compute the Kaplan-Meier estimate of the share of runs that have not emerged yet.

    Args:
        times: Tokens seen when each run emerged, or when it ended without.
        observed: Whether it emerged; if not, the time is right-censored.
        level: Of the pointwise interval, log-log transformed, which keeps it within 0 and 1. At shares of 0 and 1, where that
            has none, the exact binomial interval (Clopper and Pearson) of the runs that were not censored before.

    Returns:
        `tokens` (growing, from 0), `share` and its interval `low`, `high`; `runs`, how many were under observation just
        before.

    Raises:
        ValueError: If there is no run.
    """
    if not len(times):
        raise ValueError("a survival curve needs at least one run")
    estimate = scipy.stats.ecdf(_censored(times, observed)).sf
    tokens, share = estimate.quantiles, estimate.probabilities
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # at shares of 0 and 1
        interval: Any = estimate.confidence_interval(level, method="log-log")
    low, high = interval.low.probabilities, interval.high.probabilities
    ends = np.sort(np.asarray(times, dtype=float)[~np.asarray(observed, dtype=bool)])
    exact = ((1 - level) / 2) ** (1 / (len(times) - np.searchsorted(ends, tokens)))
    curve = pd.DataFrame(
        {
            "tokens": tokens,
            "share": share,
            "low": np.where(np.isnan(low), np.where(share == 1, exact, share), low),
            "high": np.where(np.isnan(high), np.where(share == 0, 1 - exact, share), high),
            "runs": [sum(each >= time for each in times) for time in tokens],
        }
    )
    if tokens[0] == 0:  # some had emerged before the first step
        return curve
    start = pd.DataFrame({"tokens": [0.0], "share": [1.0], "low": [1.0], "high": [1.0], "runs": [len(times)]})
    return pd.concat([start, curve], ignore_index=True)


def log_rank(
    times_a: Sequence[float], observed_a: Sequence[bool], times_b: Sequence[float], observed_b: Sequence[bool]
) -> float:
    """Compute the two-sided p-value of the log-rank test that two conditions emerge alike, by permutation.

    The statistic is the test's own, how many runs of a condition emerged minus how many were to be expected: the sum of its
    runs' scores, each of which is whether the run emerged minus the hazard of all runs together until then (Nelson and Aalen).
    Runs are permuted between the conditions with their scores: exact up to 8 + 8 of them, where the usual chi-squared
    approximation gives 4e-5 for a probability of 1.6e-4. The test assumes that both conditions were observed equally long. nan
    with a single run in a condition.
    """
    if min(len(times_a), len(times_b)) < 2:
        return math.nan
    times = np.array([*times_a, *times_b], dtype=float)
    observed = np.array([*observed_a, *observed_b], dtype=bool)
    moments, events = np.unique(times[observed], return_counts=True)
    at_risk = (times[:, None] >= moments).sum(0)
    scores = observed - ((times[:, None] >= moments) * (events / at_risk)).sum(1)
    if math.comb(len(times), len(times_a)) <= EXACT_UP_TO:
        sums = _rounded(scores[_choices(len(times), len(times_a))].sum(1))
        return float(min(1.0, 2 * min((sums <= sums[0]).mean(), (sums >= sums[0]).mean())))
    conditions = scores[: len(times_a)], scores[len(times_a) :]

    def difference(a: Floats, b: Floats, axis: int) -> Any:
        return _rounded(a.mean(axis) - b.mean(axis))

    return float(
        scipy.stats.permutation_test(conditions, difference, n_resamples=EXACT_UP_TO, rng=np.random.default_rng(0)).pvalue
    )


def _rounded(statistics: Floats) -> Floats:
    """Round statistics such that ties are equal: scores are of the order of 1."""
    return np.round(statistics, 12)


@lru_cache(maxsize=8)  # scipy's exact test enumerates them anew for every comparison, which takes 50 times as long
def _choices(runs: int, chosen: int) -> NDArray[np.int64]:
    """Return all choices of some runs, (choices, chosen); the first are the first runs."""
    return np.array(list(itertools.combinations(range(runs), chosen)))


def median_time(tokens: Sequence[float], observed: Sequence[bool]) -> float:
    """Return the tokens by which half of the runs had emerged by the estimate of Kaplan and Meier; NaN if fewer did.

    Args:
        tokens: Tokens seen at the emergence, or the end, of each run.
        observed: Whether it emerged.
    """
    curve = survival_curve(tokens, observed)
    return float(curve.loc[curve["share"] <= 0.5 + 1e-9, "tokens"].min())


def survival_comparisons(
    table: pd.DataFrame, which: str, column: str = "n_future", *, baseline: object = None, within: Sequence[str] = ()
) -> pd.DataFrame:
    """Compare conditions: log-rank over all runs, and restricted mean times over pairs of seeds.

    The log-rank test decides what is found. It treats the runs of two conditions as unpaired, which is conservative where runs
    of one seed are alike. The paired comparison gives the size.

    Args:
        table: From `emergence_table`.
        which: `onset`, `completion`, or another threshold of the table.
        column: The column that names the condition.
        baseline: Its value for the condition that the others are compared with; by default every two are compared.
        within: Columns in which compared runs agree, as the model's size.

    Returns:
        One row for each two conditions: the columns of `within`, `a`, `b`, how many runs of each emerged (`emerged_a` of
        `runs_a`, ...), `p_log_rank`; `pairs` of seeds, `neither`, in how many of them neither emerged, `later`, how much later
        b emerges as a share of a's restricted mean time, its 90 % interval `low`, `high`, `p_paired` (`compare_emergence`);
        both kinds of p-value corrected over this family (`..._holm`), with the least that this can be (`..._least`); `found`:
        `p_log_rank_holm` is at most `ALPHA`.
    """
    of_runs = [*within, "a", "b", "emerged_a", "runs_a", "emerged_b", "runs_b", "p_log_rank"]
    of_pairs = ["pairs", "neither", "later", "low", "high", "p_paired"]
    rows = []
    for key, part in table.groupby(list(within), sort=True) if within else [((), table)]:
        for a, b in itertools.combinations(part[column].unique(), 2):
            if baseline is None or baseline in (a, b):
                two = (b, a) if b == baseline else (a, b)
                rows.append([*key, *two, *_compare_two(part, *two, which, column)])
    result = pd.DataFrame(rows, columns=of_runs + of_pairs)
    runs = zip(result["runs_a"], result["runs_b"], strict=True)
    result = corrected(result, "p_log_rank", [least_p_of_runs(*each) for each in runs])
    result = corrected(result, "p_paired", [least_p_of_pairs(pairs) for pairs in result["pairs"]])
    result["found"] = result["p_log_rank_holm"] <= ALPHA
    return result[[*of_runs, "p_log_rank_holm", "p_log_rank_least", "found", *of_pairs, "p_paired_holm", "p_paired_least"]]


def _compare_two(table: pd.DataFrame, a: object, b: object, which: str, column: str) -> list[float]:
    """Return numbers of runs, log-rank test and paired comparison of two conditions."""
    parts = [table[table[column] == value] for value in (a, b)]
    seen = [part[f"{which}_observed"].astype(bool).tolist() for part in parts]
    p_log_rank = log_rank(parts[0][which].tolist(), seen[0], parts[1][which].tolist(), seen[1])
    paired = compare_emergence(table, a, b, which, column)
    counts = [sum(seen[0]), len(seen[0]), sum(seen[1]), len(seen[1])]
    return [*counts, p_log_rank, paired.n, paired.neither, paired.difference, paired.low, paired.high, paired.p_value]


def _censored(times: Sequence[float], observed: Sequence[bool]) -> Any:
    values, seen = np.asarray(times, dtype=float), np.asarray(observed, dtype=bool)
    return scipy.stats.CensoredData(uncensored=values[seen], right=values[~seen])
