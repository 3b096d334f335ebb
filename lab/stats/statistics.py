"""Statistics over seeds: intervals of means and of shares, paired comparisons, and their correction for how many there are.

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
ALPHA = 0.10
"""A comparison is found if its p-value, corrected by Holm over its family, is at most this; intervals decide nothing."""
RULE = (
    f"A difference is found if its p-value, corrected by Holm over the rows of its table (`_holm`), is at most {ALPHA:.2f}; "
    "`_least` is the least that this can be with so many seeds and rows."
)
"""How a table of comparisons is to be read."""
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
        never_a: Of emergence times: runs of a, among the pairs, that never got there.
        never_b: The same of b.
        neither: Pairs in which neither got there while both were watched; they count as equal.
        unpaired: Runs without one of the same seed in the other condition, which are left out.
    """

    n: int
    difference: float
    low: float
    high: float
    p_value: float
    test: str
    never_a: int = 0
    never_b: int = 0
    neither: int = 0
    unpaired: int = 0


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
    low, high = expanded_percentile(resample(seeds, seed) @ matrix, level, seeds)
    return low, mean, high


def resample(seeds: int, seed: int = 0) -> Floats:
    """Weights of each of S seeds in every resample with replacement, (RESAMPLES, S); a resample's sum to 1."""
    drawn = np.random.default_rng(seed).multinomial(seeds, np.full(seeds, 1 / seeds), size=RESAMPLES)
    weights: Floats = drawn / seeds
    return weights


def expanded_percentile(resampled_RP: Floats, level: float, seeds: int) -> Floats:
    """Ends of the expanded percentile interval of statistics that were resampled R times from S seeds, (2, P)."""
    outside = expanded(level, seeds)
    ends: Floats = np.quantile(resampled_RP, [outside, 1 - outside], axis=0)
    return ends


def expanded(level: float, seeds: int) -> float:
    """Share of resampled means that an expanded percentile interval of two seeds or more leaves out at each end."""
    return float(stats.norm.sf(math.sqrt(seeds / (seeds - 1)) * stats.t.ppf((1 + level) / 2, seeds - 1)))


def bootstrap_interval(values: ArrayLike, level: float = LEVEL, seed: int = 0) -> Interval:
    """Bootstrap interval of a mean, over seeds; see `bootstrap_band`."""
    values = np.asarray(values, dtype=float)
    low, mean, high = bootstrap_band(values[:, None], level, seed)
    return Interval(float(mean[0]), float(low[0]), float(high[0]), len(values))


def escaped_share(escaped: ArrayLike, level: float = LEVEL) -> Interval:
    """Share of runs that escaped a plateau, with its exact interval (Clopper and Pearson 1934, Biometrika 26).

    Runs on a plateau or off it are two-peaked, so that the interval of a mean covers less than its level; this one covers its
    level or more for any number of runs.

    Args:
        escaped: Whether each run escaped.
        level: Of the interval.

    Raises:
        ValueError: If there is no run.
    """
    seen = np.asarray(escaped, dtype=bool)
    exact = stats.binomtest(int(seen.sum()), len(seen)).proportion_ci(level, method="exact")
    return Interval(float(seen.mean()), float(exact.low), float(exact.high), len(seen))


def paired_comparison(a: ArrayLike, b: ArrayLike, level: float = LEVEL) -> Comparison:
    """Mean difference b - a over pairs, with its bootstrap interval and a sign-flip permutation test.

    If nothing but chance told the arms apart, each pair's difference would be as likely with the other sign. The test is exact
    for up to 14 pairs, and goes through random flips for more; the interval is approximate, and the two can disagree.

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
    if not np.isfinite(differences).all():
        return Comparison(len(a), math.nan, math.nan, math.nan, math.nan, "none: a value is missing")
    interval = bootstrap_interval(differences, level)
    return Comparison(len(a), interval.mean, interval.low, interval.high, *sign_flip(differences))


def sign_flip(differences: Floats) -> tuple[float, str]:
    """Two-sided p-value of the sign-flip permutation test of differences of pairs, and the test's name; nan of one pair."""
    if len(differences) < 2:
        return math.nan, "none: one pair"
    result = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=EXACT_UP_TO, rng=np.random.default_rng(0)
    )
    exact = "exact " if 2 ** len(differences) <= EXACT_UP_TO else ""
    return float(result.pvalue), f"{exact}sign-flip permutation"


def one_run_a_seed(arm: pd.DataFrame, name: str) -> pd.DataFrame:
    """The runs of an arm, which are to be paired by their seeds.

    Raises:
        LabError: If there are several of one seed, naming the arm.
    """
    again = arm.loc[arm["seed"].duplicated(), "seed"]
    if not again.empty:
        raise LabError(f"{name} has several runs of seed {again.iloc[0]}, which cannot be paired; compare within one setting")
    return arm


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number, so that the chance of any false finding in the family stays at the level.

    Holm 1979: the smallest is multiplied by the size of the family, the next by one less, ..., and none may fall below one
    that was smaller. A nan (nothing could be tested) stays nan, and counts as a member of the family like a p-value of 1: the
    size of a family is how many comparisons were asked for, not how many could be answered.

    Args:
        p_values: Of all comparisons of one question.
    """
    values = np.asarray(p_values, dtype=float)
    adjusted = np.full(len(values), np.nan)
    order = np.argsort(values)[: int(np.isfinite(values).sum())]  # nan sorts last
    scaled = values[order] * np.arange(len(values), len(values) - len(order), -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(value) for value in adjusted]


def least_p_of_pairs(pairs: int) -> float:
    """The least p-value that `sign_flip` can give for so many pairs: that of differences which all have one sign."""
    return 2 / min(2**pairs, EXACT_UP_TO + 1) if pairs > 1 else 1.0


def least_p_of_runs(runs_a: int, runs_b: int) -> float:
    """The least p-value that `log_rank` can give for so many runs: that of two conditions which are separated altogether."""
    return 2 / min(math.comb(runs_a + runs_b, runs_a), EXACT_UP_TO + 1) if min(runs_a, runs_b) > 1 else 1.0


def corrected(table: pd.DataFrame, p_value: str, least: Sequence[float]) -> pd.DataFrame:
    """A table of comparisons with what is to be known of one of its columns of p-values, its rows being the family.

    Args:
        table: Comparisons.
        p_value: The column, as `p_value`.
        least: The least p-value that the test of each row can give.

    Returns:
        The table with `p_holm` (`<column>_holm` for another column than `p_value`) and `p_least` (`<column>_least`), the least
        that this can be: Holm's correction of the least p-values.
    """
    name = "p" if p_value == "p_value" else p_value
    own = table[p_value].astype(float).tolist()
    return table.assign(**{f"{name}_holm": holm(own), f"{name}_least": holm(least)})


def mean_with_interval(values: Sequence[float], digits: int = 3) -> str:
    """A mean with its interval for a table, as `0.951 [0.93, 0.97]`; below `FEWEST` the values, as `0.396, 0.402 (2 seeds)`."""
    if len(values) < FEWEST:
        listed = ", ".join(f"{value:.{digits}f}" for value in values)
        return f"{listed} ({counted(len(values), 'seed')})"
    interval = bootstrap_interval(values)
    return f"{interval.mean:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def mean_beside_share(values: Sequence[float], escaped: Sequence[bool], digits: int = 3) -> str:
    """A mean as `mean_with_interval` shows it, but without an interval where some runs escaped a plateau and some did not.

    Such values have two peaks, and the interval of their mean covers less than its level: the share is what has one.
    """
    mixed = any(escaped) and not all(escaped) and len(values) >= FEWEST
    return f"{np.mean(values):.{digits}f}" if mixed else mean_with_interval(values, digits)


def counted(number: int, noun: str) -> str:
    """A number of things, as `1 seed` and `2 seeds`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def share_with_interval(escaped: Sequence[bool]) -> str:
    """How many runs escaped, with the exact interval of their share, as `4 of 8 [0.19, 0.81]`."""
    share = escaped_share(escaped)
    return f"{sum(escaped)} of {share.n} [{share.low:.2f}, {share.high:.2f}]"
