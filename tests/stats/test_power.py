"""Power of comparisons of shares, against hand counts and simulation."""

import numpy as np
import pytest
import scipy

from lab.stats.paired import ALPHA
from lab.stats.power import detectable_share, power_of_shares


def test_certain_shares_have_power_zero_or_one() -> None:
    assert power_of_shares(0, 0, 8) == 0
    assert power_of_shares(0, 1, 8) == pytest.approx(1)  # p = 2 / C(16, 8)
    assert power_of_shares(0, 1, 3) == pytest.approx(1)  # p = 2 / C(6, 3) = 0.1, at most ALPHA
    assert power_of_shares(0, 1, 3, comparisons=2) == 0


def test_two_runs_find_nothing() -> None:
    assert detectable_share(0, 2) is None  # the least p is 2 / C(4, 2)


def test_power_agrees_with_simulation() -> None:
    drawn = np.random.default_rng(0).binomial(8, (0.3, 0.9), (100_000, 2))
    pairs, counts = np.unique(drawn, axis=0, return_counts=True)
    found = [scipy.stats.fisher_exact([[a, 8 - a], [b, 8 - b]]).pvalue <= ALPHA / 2 for a, b in pairs]
    assert power_of_shares(0.3, 0.9, 8, comparisons=2) == pytest.approx(counts[found].sum() / 100_000, abs=0.005)


def test_the_detectable_share_is_the_least_with_the_power() -> None:
    share = detectable_share(0.25, 16, comparisons=3)
    assert share is not None
    assert power_of_shares(0.25, share, 16, 3) >= 0.8 > power_of_shares(0.25, share - 0.01, 16, 3)


def test_more_comparisons_need_a_larger_difference() -> None:
    few, many = (detectable_share(0.25, 16, comparisons) for comparisons in (1, 10))
    assert few is not None
    assert many is not None
    assert few < many
