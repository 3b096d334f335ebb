"""Statistics over seeds: bootstrap intervals, paired comparisons, and the sentence that follows from them.

A claim rests on several seeds. Runs are paired: the arms see the same data in the same order from the same seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from lab.errors import LabError

LEVEL = 0.90
"""Of every interval and band, as in the paper."""
RESAMPLES = 10_000
EXACT_UP_TO = 2**14
"""Ways to deal runs or signs up to which a permutation test goes through all of them; beyond, through as many random ones."""
Floats = NDArray[np.float64]
FEWEST = 5
"""Seeds, or pairs of them, below which there is no interval and no finding: 90 % intervals of 2, 3 and 4 normal values hold
their mean in 51, 74 and 85 % (docs/statistics.md), and the least p-value of n pairs is 2 ** (1 - n)."""


class Interval(NamedTuple):
    """A mean and its bootstrap interval over `n` values; `low` and `high` are nan below `FEWEST` values."""

    mean: float
    low: float
    high: float
    n: int


class Comparison(NamedTuple):
    """A paired comparison b against a.

    Attributes:
        n: Pairs that could be compared.
        difference: Mean of b - a.
        low: Lower end of its bootstrap interval; nan below `FEWEST` pairs.
        high: Upper end.
        p_value: Two-sided; nan with fewer than two pairs, or where a value is missing.
        test: How the p-value was found.
    """

    n: int
    difference: float
    low: float
    high: float
    p_value: float
    test: str


def bootstrap_band(matrix_SP: ArrayLike, level: float = LEVEL, seed: int = 0) -> tuple[Floats, Floats, Floats]:
    """Expanded percentile bootstrap over seeds of the mean at every point.

    Whole curves are drawn again, not single points, so that a band keeps what each seed does over time. A plain percentile
    interval is too narrow for few seeds: of 90 % ones 79 % hold the mean of five normal values, 82 % that of eight. Its
    quantiles are moved out by what a t interval is wider (Hesterberg 2015, The American Statistician 69, "expanded
    percentile"), which makes that 89 and 90 %. Of skewed or two-peaked values it holds the mean less often than its level
    (docs/statistics.md), and below `FEWEST` seeds of any: there is none.

    Args:
        matrix_SP: (S seeds, P points).
        level: Share that the band covers.
        seed: Of the resampling.

    Returns:
        Low, mean and high, (P,) each; low and high are nan below `FEWEST` seeds.
    """
    matrix = np.asarray(matrix_SP, dtype=float)
    seeds, mean = len(matrix), matrix.mean(axis=0)
    if seeds < FEWEST:
        return np.full_like(mean, np.nan), mean, np.full_like(mean, np.nan)
    drawn = np.random.default_rng(seed).multinomial(seeds, np.full(seeds, 1 / seeds), size=RESAMPLES)
    outside = expanded(level, seeds)
    low, high = np.quantile(drawn / seeds @ matrix, [outside, 1 - outside], axis=0)
    return low, mean, high


def expanded(level: float, seeds: int) -> float:
    """Share of resampled means that an expanded percentile interval of two seeds or more leaves out at each end."""
    return float(stats.norm.sf(math.sqrt(seeds / (seeds - 1)) * stats.t.ppf((1 + level) / 2, seeds - 1)))


def bootstrap_interval(values: ArrayLike, level: float = LEVEL, seed: int = 0) -> Interval:
    """Bootstrap interval of a mean, over seeds; see `bootstrap_band`."""
    values = np.asarray(values, dtype=float)
    low, mean, high = bootstrap_band(values[:, None], level, seed)
    return Interval(float(mean[0]), float(low[0]), float(high[0]), len(values))


def paired_comparison(a: ArrayLike, b: ArrayLike, level: float = LEVEL) -> Comparison:
    """Mean difference b - a over pairs, with its bootstrap interval and an exact sign-flip permutation test.

    If nothing but chance told the arms apart, each pair's difference would be as likely with the other sign.

    Args:
        a: One value for each seed.
        b: The other arm's, in the same order of seeds.
        level: Of the interval.

    Raises:
        ValueError: If the arms differ in length or are empty.
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise ValueError(f"paired arms need one value a seed, and as many of each; got shapes {a.shape} and {b.shape}")
    differences = b - a
    interval = bootstrap_interval(differences, level)
    if len(a) < 2:
        return Comparison(len(a), interval.mean, interval.low, interval.high, math.nan, "none: one pair")
    if not np.isfinite(differences).all():
        return Comparison(len(a), math.nan, math.nan, math.nan, math.nan, "none: a value is missing")
    result = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=EXACT_UP_TO, rng=np.random.default_rng(0)
    )
    test = "exact sign-flip permutation" if 2 ** len(a) <= EXACT_UP_TO else "sign-flip permutation"
    return Comparison(len(a), interval.mean, interval.low, interval.high, float(result.pvalue), test)


def compare_emergence(table: pd.DataFrame, a: object, b: object, which: str, arm: str = "n_future") -> Comparison:
    """Emergence times of two arms compared on pairs of seeds, as ln(time of b / time of a).

    A censored time is known only to be later than its run. A pair with one censored time can still be ordered if that run went
    on until the other's time; else, and with two, it cannot and is left out. If any is left that is censored, or is 0, there
    is no size to the effect: the comparison is the exact sign test on who came first, over the pairs in which one did, and
    its difference the share of them in which b came later minus that in which a did.

    Args:
        table: From `emergence_table`.
        a: Value of the arm's column for arm a.
        b: The same for arm b.
        which: `onset`, `completion`, or another threshold of the table.
        arm: The column that tells the arms apart.

    Raises:
        LabError: If an arm has several runs of one seed.
    """
    arms = [one_run_a_seed(table[table[arm] == value], f"{arm} = {value}") for value in (a, b)]
    pairs = arms[0].merge(arms[1], on="seed", suffixes=("_a", "_b"))
    seen_a, seen_b = (pairs[f"{which}_observed_{side}"].to_numpy(bool) for side in "ab")
    times_a, times_b = (pairs[f"{which}_{side}"].to_numpy(float) for side in "ab")
    known = (seen_a & (times_a <= times_b)) | (seen_b & (times_b <= times_a))
    seen_a, seen_b, times_a, times_b = seen_a[known], seen_b[known], times_a[known], times_b[known]
    censored = not (seen_a.all() and seen_b.all())
    if known.any() and not censored and min(times_a.min(), times_b.min()) > 0:
        return paired_comparison(np.log(times_a), np.log(times_b))
    later_b = np.where(seen_a == seen_b, np.sign(times_b - times_a), np.where(seen_a, 1, -1))
    later_b = later_b[later_b != 0]
    if not len(later_b):
        return Comparison(0, math.nan, math.nan, math.nan, math.nan, "none: no pair in which one came first")
    interval = bootstrap_interval(later_b)
    p_value = float(stats.binomtest(int((later_b > 0).sum()), len(later_b)).pvalue)
    test = f"exact sign test ({'censored times' if censored else 'times of 0'})"
    return Comparison(len(later_b), interval.mean, interval.low, interval.high, p_value, test)


def one_run_a_seed(arm: pd.DataFrame, name: str) -> pd.DataFrame:
    """The runs of an arm, which are to be paired by their seeds.

    Raises:
        LabError: If there are several of one seed, naming the arm.
    """
    again = arm.loc[arm["seed"].duplicated(), "seed"]
    if not again.empty:
        raise LabError(f"{name} has several runs of seed {again.iloc[0]}, which cannot be paired; compare within one setting")
    return arm


def emergence_sentence(comparison: Comparison, n_a: int, n_b: int, what: str) -> str:
    """What a comparison of emergence times lets one say, in one sentence; no more than the numbers.

    Args:
        comparison: From `compare_emergence`.
        n_a: n_future of arm a.
        n_b: n_future of arm b.
        what: What emerges, as `copying passes 0.5`.
    """
    if comparison.n == 0:
        return (
            f"Within these runs no pair of seeds shows where {what} first, so nothing can be said about n = {n_b} against"
            f" n = {n_a}."
        )
    seeds = f"{comparison.n} paired seed{'s' if comparison.n > 1 else ''}"
    if comparison.test.startswith("exact sign test"):
        share = f"{100 * (1 + comparison.difference) / 2:.0f} % of the pairs that can be ordered"
        why = "some runs never get there" if "censored" in comparison.test else "some have it from the start"
        effect = f"{what} later with n = {n_b} than with n = {n_a} in {share}; {why}"
        numbers = f"p = {comparison.p_value:.2g}, {seeds}"
    else:
        low, middle, high = (100 * math.expm1(value) for value in (comparison.low, comparison.difference, comparison.high))
        way = "earlier" if middle < 0 else "later"
        effect = f"{what} {abs(middle):.0f} % {way} in tokens seen with n = {n_b} than with n = {n_a}"
        shown_p = "no p-value" if math.isnan(comparison.p_value) else f"p = {comparison.p_value:.2g}"
        interval = "" if math.isnan(low) else f"90 % interval {low:+.0f} to {high:+.0f} %, "
        numbers = f"{interval}{shown_p}, {seeds}"
    if comparison.n < FEWEST:
        return f"Too few seeds to tell: {effect} ({numbers})."
    excludes_zero = comparison.low > 0 or comparison.high < 0
    if excludes_zero and comparison.p_value <= 1 - LEVEL:
        return f"{effect[0].upper()}{effect[1:]} ({numbers})."
    return f"No reliable difference: {effect} ({numbers})."


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number, so that the chance of any false finding in the family stays at the level.

    Holm 1979: the smallest is multiplied by the size of the family, the next by one less, ..., and none may fall below one
    that was smaller. A nan (nothing could be compared) stays nan and is no member of the family.

    Args:
        p_values: Of all comparisons of one question.
    """
    values = np.asarray(p_values, dtype=float)
    adjusted = np.full(len(values), np.nan)
    order = np.argsort(values)[: int(np.isfinite(values).sum())]  # nan sorts last
    scaled = values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(value) for value in adjusted]


def mean_with_interval(values: Sequence[float], digits: int = 3) -> str:
    """A mean with its interval for a table, as `0.951 [0.93, 0.97]`; below `FEWEST` the values, as `0.396, 0.402 (2 seeds)`."""
    if len(values) < FEWEST:
        listed = ", ".join(f"{value:.{digits}f}" for value in values)
        return f"{listed} ({len(values)} seed{'s' if len(values) > 1 else ''})"
    interval = bootstrap_interval(values)
    return f"{interval.mean:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"
