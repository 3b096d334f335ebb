"""Power of Fisher's exact test: which differences between shares of runs a number of runs can find."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy
from numpy.typing import NDArray

from lab.stats.paired import ALPHA


def power_of_shares(share_a: float, share_b: float, runs: int, comparisons: int = 1) -> float:
    """Compute how often Fisher's exact test finds that runs of two conditions escape in different shares.

    Args:
        share_a: Share of runs of one condition that escape.
        share_b: The same for the other.
        runs: Runs of each condition.
        comparisons: Comparisons that the p-value is corrected for: it must be at most `ALPHA` over their number (Bonferroni,
            the worst case of Holm's correction).

    Returns:
        The probability that the corrected two-sided p-value is at most `ALPHA`.
    """
    counts = np.arange(runs + 1)
    of_a, of_b = (scipy.stats.binom.pmf(counts, runs, share) for share in (share_a, share_b))
    return float(of_a @ (_p_values(runs) <= ALPHA / comparisons + 1e-12) @ of_b)


def detectable_share(share: float, runs: int, comparisons: int = 1, power: float = 0.8) -> float | None:
    """Find the least share above a baseline's that runs find with a given probability, to 0.01.

    Args:
        share: Share of the baseline's runs that escape.
        runs: Runs of each condition.
        comparisons: As for `power_of_shares`.
        power: The probability.

    Returns:
        The share, or None if not even a share of 1 is found so often.
    """
    shares = (round(share + step / 100, 2) for step in range(round(100 * (1 - share)) + 1))
    return next((each for each in shares if power_of_shares(share, each, runs, comparisons) >= power), None)


@lru_cache
def _p_values(runs: int) -> NDArray[np.float64]:
    """Return the two-sided p-value of Fisher's exact test of each pair of counts, (runs + 1, runs + 1)."""
    counts = range(runs + 1)
    tables = [[np.array([[a, runs - a], [b, runs - b]]) for b in counts] for a in counts]
    return np.array([[scipy.stats.fisher_exact(table).pvalue for table in row] for row in tables])
