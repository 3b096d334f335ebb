"""Compare emergence times of two conditions over all pairs of seeds, and put the result in a sentence."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lab.stats.bootstrap import FEWEST, LEVEL, counted, expanded_percentile, resample, share_with_interval
from lab.stats.emergence import escape_table
from lab.stats.paired import ALPHA, Comparison, require_one_run_per_seed, sign_flip


def compare_emergence(table: pd.DataFrame, a: object, b: object, which: str, column: str = "n_future") -> Comparison:
    """Compare emergence times of two conditions by their restricted means over pairs of seeds.

    A censored time is only known to be later than the end of its run. Every run has a restricted time: the tokens seen until it
    passed the threshold, or until a limit up to which both runs of its pair were observed, whichever came first (Royston and
    Parmar 2013, BMC Medical Research Methodology 13:152). The limit is the end of the run of the pair that did not pass, of two
    such runs the earlier end; a pair in which both passed needs none. So every pair counts, also one in which neither passed:
    its difference is 0.

    Args:
        table: From `emergence_table`.
        a: Value of the column for condition a.
        b: The same for condition b.
        which: `onset`, `completion`, or another threshold of the table.
        column: The column that names the condition.

    Returns:
        As `difference` the mean restricted time of b as a share of a's, less 1 (0.14: b is 14 % later), with its bootstrap
        interval over pairs; nan if every run of a passed at 0 tokens. The p-value is that of the sign-flip test of the
        differences in tokens.

    Raises:
        LabError: If a condition has several runs of one seed.
    """
    sides = [require_one_run_per_seed(table[table[column] == value], f"{column} = {value}") for value in (a, b)]
    pairs = sides[0].merge(sides[1], on="seed", suffixes=("_a", "_b"))
    unpaired = len(sides[0]) + len(sides[1]) - 2 * len(pairs)
    if pairs.empty:
        return Comparison(0, math.nan, math.nan, math.nan, math.nan, "none: no pair of seeds", unpaired=unpaired)
    seen_a, seen_b = (pairs[f"{which}_observed_{side}"].to_numpy(bool) for side in "ab")
    times_a, times_b = (pairs[f"{which}_{side}"].to_numpy(float) for side in "ab")
    limits = np.minimum(np.where(seen_a, np.inf, times_a), np.where(seen_b, np.inf, times_b))
    neither = ~(seen_a & (times_a <= limits)) & ~(seen_b & (times_b <= limits))
    times_a, times_b = np.minimum(times_a, limits), np.minimum(times_b, limits)
    n, low, high = len(pairs), math.nan, math.nan
    with np.errstate(divide="ignore", invalid="ignore"):  # where all of a are 0
        difference = float(times_b.sum() / times_a.sum() - 1) if times_a.any() else math.nan
        if n >= FEWEST:
            weights = resample(n)
            low, high = (float(end) for end in expanded_percentile(weights @ times_b / (weights @ times_a) - 1, LEVEL, n))
    never = int((~seen_a).sum()), int((~seen_b).sum())
    return Comparison(n, difference, low, high, *sign_flip(times_b - times_a), *never, int(neither.sum()), unpaired)


def time_table(times: pd.DataFrame, which: str, by: Sequence[str]) -> pd.DataFrame:
    """Summarise when the runs of each condition passed a threshold.

    Args:
        times: From `emergence_table`.
        which: One of its thresholds.
        by: Columns that make a condition.

    Returns:
        One row for each condition: the columns of `by`, `escaped` of `runs`, their `share` with its exact 90 % interval `low`,
        `high`, and the `median` time in tokens: the first at which half of the runs had passed; nan if fewer did.
    """
    table = escape_table(times, which, by)
    passed = times[which].where(times[f"{which}_observed"].astype(bool), math.inf)
    medians = passed.groupby([times[name] for name in by], sort=True, dropna=False).quantile(0.5, interpolation="lower")
    return table.assign(median=medians.replace(math.inf, math.nan).to_numpy())


def describe_time(row: Mapping[Hashable, Any]) -> dict[str, str]:
    """Put a row of `time_table` in words: `escaped` with its interval, and `median M tokens` (- if fewer than half did)."""
    escaped = share_with_interval([True] * row["escaped"] + [False] * (row["runs"] - row["escaped"]))
    return {"escaped": escaped, "median M tokens": "-" if math.isnan(row["median"]) else f"{row['median'] / 1e6:.2f}"}


def each_time(times: pd.DataFrame, which: str) -> str:
    """Return when each run passed a threshold, in millions of tokens, with a dash for a run that did not.

    Args:
        times: From `emergence_table`, the runs of one condition.
        which: One of its thresholds.
    """
    passed = zip(times[which], times[f"{which}_observed"], strict=True)
    return " ".join(f"{tokens / 1e6:.2f}" if seen else "-" for tokens, seen in passed)


def emergence_sentence(comparison: Comparison, n_a: int, n_b: int, what: str, p_holm: float | None = None) -> str:
    """Put a comparison of emergence times in one sentence that claims no more than the numbers.

    A difference is found if its corrected p-value is at most `ALPHA`, and by no other rule: the interval shows its size, and
    can exclude 0 where the exact test does not find it.

    Args:
        comparison: From `compare_emergence`.
        n_a: n_future of condition a.
        n_b: n_future of condition b.
        what: What emerges, as `copying reaches 50 % accuracy`.
        p_holm: The p-value corrected over its family; by default the comparison is its own family.
    """
    p_value = comparison.p_value if p_holm is None else p_holm
    if not comparison.n:
        return f"No seed has a run with n = {n_a} and one with n = {n_b}, so that nothing can be said."
    if comparison.neither == comparison.n:
        pairs = f"{counted(comparison.n, 'pair')} of seeds with n = {n_a} and n = {n_b}"
        return f"{what[0].upper()}{what[1:]} in neither run of {pairs}, so that nothing can be said."
    if math.isnan(comparison.difference):
        effect = f"{what} from the start with n = {n_a}, so that there is no size to n = {n_b}"
    else:
        effect = f"{what} {_describe_shift(comparison.difference, n_a, n_b)}"
    numbers = f"{counted(comparison.n, 'pair')} of seeds"
    if not math.isnan(p_value):
        corrected = p_holm is not None and p_holm != comparison.p_value
        numbers = f"{'p_holm' if corrected else 'p'} = {p_value:.2g}, {numbers}"
    if not math.isnan(comparison.low):
        numbers = f"90 % interval {round(100 * comparison.low):+d} to {round(100 * comparison.high):+d} %, {numbers}"
    if comparison.never_a or comparison.never_b:
        both = f" (both of {counted(comparison.neither, 'pair')})" if comparison.neither else ""
        numbers += (
            f"; {counted(comparison.never_a, 'run')} with n = {n_a} and {comparison.never_b} with n = {n_b} never get there"
            f"{both} and count with the length of the run"
        )
    if comparison.unpaired:
        numbers += f"; {counted(comparison.unpaired, 'run')} without a partner of the same seed left out"
    if comparison.n < FEWEST:
        return f"Too few seeds to tell: {effect} ({numbers})."
    if p_value <= ALPHA:
        return f"{effect[0].upper()}{effect[1:]} ({numbers})."
    return f"No reliable difference: {effect} ({numbers})."


def _describe_shift(difference: float, n_a: int, n_b: int) -> str:
    """Return in words how much earlier or later b is than a."""
    if not difference:
        return f"at the same number of tokens with n = {n_b} as with n = {n_a}"
    percent = f"{100 * abs(difference):.0f} %" if abs(difference) >= 0.005 else "less than 1 %"
    return f"{percent} {'earlier' if difference < 0 else 'later'} in tokens seen with n = {n_b} than with n = {n_a}"
