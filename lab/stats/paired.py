"""Paired comparisons over seeds by exact permutation tests, and their correction for how many there are.

Runs are paired: conditions see the same data in the same order from the same seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy
from numpy.typing import ArrayLike

from lab.errors import LabError
from lab.stats.bootstrap import LEVEL, Floats, bootstrap_interval

ALPHA = 0.10
"""A comparison is found if its p-value, corrected by Holm over its family, is at most this; intervals decide nothing."""
RULE = (
    f"A difference is found if its p-value, corrected by Holm over the rows of its table (`_holm`), is at most {ALPHA:.2f}; "
    "`_least` is the least that this can be with so many seeds and rows."
)
"""The rule for reading a table of comparisons."""
EXACT_UP_TO = 2**14
"""Permutations up to which a test is exact; with more it samples as many at random."""


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


def paired_comparison(a: ArrayLike, b: ArrayLike, level: float = LEVEL) -> Comparison:
    """Compute the mean difference b - a over pairs, its bootstrap interval and a sign-flip permutation test.

    Under the null hypothesis the sign of each paired difference is arbitrary. The test is exact for up to 14 pairs, and samples
    flips at random for more; the interval is approximate, and the two can disagree.

    Args:
        a: One value for each seed.
        b: The other condition's, in the same order of seeds.
        level: Of the interval.

    Raises:
        ValueError: If the conditions differ in length or are empty.
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise ValueError(f"paired conditions need one value a seed, as many of each; got shapes {a.shape} and {b.shape}")
    differences = b - a
    if not np.isfinite(differences).all():
        return Comparison(len(a), math.nan, math.nan, math.nan, math.nan, "none: a value is missing")
    interval = bootstrap_interval(differences, level)
    return Comparison(len(a), interval.mean, interval.low, interval.high, *sign_flip(differences))


def sign_flip(differences: Floats) -> tuple[float, str]:
    """Compute the two-sided p-value of the sign-flip permutation test of paired differences, and name it; nan of one pair."""
    if len(differences) < 2:
        return math.nan, "none: one pair"
    scale = np.abs(differences).max() or 1.0

    def mean(values: Floats, axis: int) -> Any:
        return np.round(values.mean(axis) / scale, 12)  # so that ties are equal

    result = scipy.stats.permutation_test(
        (differences,), mean, permutation_type="samples", n_resamples=EXACT_UP_TO, rng=np.random.default_rng(0)
    )
    exact = "exact " if 2 ** len(differences) <= EXACT_UP_TO else ""
    return float(result.pvalue), f"{exact}sign-flip permutation"


def require_one_run_per_seed(runs: pd.DataFrame, name: str) -> pd.DataFrame:
    """Check that a condition has one run of each seed, so that runs can be paired; return its runs.

    Raises:
        LabError: If there are several of one seed, naming the condition.
    """
    again = runs.loc[runs["seed"].duplicated(), "seed"]
    if not again.empty:
        raise LabError(f"{name} has several runs of seed {again.iloc[0]}, which cannot be paired; compare within one setting")
    return runs


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number, so that the chance of any false finding in the family stays at the level.

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
    """Return the least p-value of `sign_flip` for a number of pairs: that of differences with one sign."""
    return 2 / min(2**pairs, EXACT_UP_TO + 1) if pairs > 1 else 1.0


def least_p_of_runs(runs_a: int, runs_b: int) -> float:
    """Return the least p-value of `log_rank` for numbers of runs: that of two conditions that are fully separated."""
    return 2 / min(math.comb(runs_a + runs_b, runs_a), EXACT_UP_TO + 1) if min(runs_a, runs_b) > 1 else 1.0


def corrected(table: pd.DataFrame, p_value: str, least: Sequence[float]) -> pd.DataFrame:
    """Add corrected and least p-values to a table of comparisons, whose rows are the family.

    Args:
        table: Comparisons.
        p_value: The column, as `p_value`.
        least: The least p-value that the test of each row can give.

    Returns:
        The table with `p_holm` (`<column>_holm` for another column than `p_value`) and `p_least` (`<column>_least`), its least
        value: Holm's correction of the least p-values.
    """
    name = "p" if p_value == "p_value" else p_value
    own = table[p_value].astype(float).tolist()
    return table.assign(**{f"{name}_holm": holm(own), f"{name}_least": holm(least)})
