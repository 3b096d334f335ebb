"""Bootstrap intervals of means over seeds and exact intervals of shares.

A claim rests on several seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

LEVEL = 0.90
"""Of every interval and band, as in the paper."""
RESAMPLES = 10_000
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


def bootstrap_band(matrix_SP: ArrayLike, level: float = LEVEL, seed: int = 0) -> tuple[Floats, Floats, Floats]:
    """Compute the expanded percentile bootstrap over seeds of the mean at every point.

    Whole curves are resampled, not single points, so that a band keeps each seed's course over time. A plain percentile
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


@lru_cache(maxsize=8)  # a page draws hundreds of intervals, of a few numbers of seeds
def resample(seeds: int, seed: int = 0) -> Floats:
    """Draw the weights of each of S seeds in every resample with replacement, (RESAMPLES, S); a resample's sum to 1."""
    drawn = np.random.default_rng(seed).multinomial(seeds, np.full(seeds, 1 / seeds), size=RESAMPLES)
    weights: Floats = drawn / seeds
    weights.setflags(write=False)
    return weights


def expanded_percentile(resampled_RP: Floats, level: float, seeds: int) -> Floats:
    """Compute the ends of the expanded percentile interval of statistics that were resampled R times from S seeds, (2, P)."""
    outside = expanded_tail(level, seeds)
    ends: Floats = np.quantile(resampled_RP, [outside, 1 - outside], axis=0)
    return ends


def expanded_tail(level: float, seeds: int) -> float:
    """Return the share of resampled means outside an expanded percentile interval at each end; from two seeds on."""
    quantile_of_t = scipy.special.stdtrit(seeds - 1, (1 + level) / 2)
    return float(scipy.special.ndtr(-math.sqrt(seeds / (seeds - 1)) * quantile_of_t))


def bootstrap_interval(values: ArrayLike, level: float = LEVEL, seed: int = 0) -> Interval:
    """Compute the bootstrap interval of a mean, over seeds; see `bootstrap_band`."""
    values = np.asarray(values, dtype=float)
    low, mean, high = bootstrap_band(values[:, None], level, seed)
    return Interval(float(mean[0]), float(low[0]), float(high[0]), len(values))


def escaped_share(escaped: ArrayLike, level: float = LEVEL) -> Interval:
    """Compute the share of runs that escaped a plateau, with its exact interval (Clopper and Pearson 1934, Biometrika 26).

    Runs on a plateau or off it are two-peaked, so that the interval of a mean covers less than its level; this one covers its
    level or more for any number of runs.

    Args:
        escaped: Whether each run escaped.
        level: Of the interval.

    Raises:
        ValueError: If there is no run.
    """
    seen = np.asarray(escaped, dtype=bool)
    exact = scipy.stats.binomtest(int(seen.sum()), len(seen)).proportion_ci(level, method="exact")
    return Interval(float(seen.mean()), float(exact.low), float(exact.high), len(seen))


def mean_with_interval(values: Sequence[float], digits: int = 3) -> str:
    """Format a mean with its interval, as `0.951 [0.93, 0.97]`; below `FEWEST` the values, as `0.396, 0.402 (2 seeds)`."""
    if len(values) < FEWEST:
        listed = ", ".join(f"{value:.{digits}f}" for value in values)
        return f"{listed} ({counted(len(values), 'seed')})"
    interval = bootstrap_interval(values)
    return f"{interval.mean:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def mean_beside_share(values: Sequence[float], escaped: Sequence[bool], digits: int = 3) -> str:
    """Format a mean as `mean_with_interval` does, but without an interval where some runs escaped a plateau and some did not.

    Such values have two peaks, and the interval of their mean covers less than its level: the share is what has one.
    """
    mixed = any(escaped) and not all(escaped) and len(values) >= FEWEST
    return f"{np.mean(values):.{digits}f}" if mixed else mean_with_interval(values, digits)


def counted(number: int, noun: str) -> str:
    """Format a number of things, as `1 seed` and `2 seeds`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def share_with_interval(escaped: Sequence[bool]) -> str:
    """Format how many runs escaped, with the exact interval of their share, as `4 of 8 [0.19, 0.81]`."""
    share = escaped_share(escaped)
    return f"{sum(escaped)} of {share.n} [{share.low:.2f}, {share.high:.2f}]"
