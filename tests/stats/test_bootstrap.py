import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lab.stats.bootstrap import (
    FEWEST,
    bootstrap_band,
    bootstrap_interval,
    escaped_share,
    expanded_tail,
    mean_beside_share,
    mean_with_interval,
    share_with_interval,
)
from lab.stats.paired import holm, paired_comparison


def test_the_interval_is_that_of_scipy_at_an_expanded_level() -> None:
    values = np.random.default_rng(0).normal(3, 1, 12)
    ours = bootstrap_interval(values)
    level = 1 - 2 * expanded_tail(0.9, 12)
    theirs = stats.bootstrap((values,), np.mean, confidence_level=level, method="percentile", rng=1, n_resamples=9999)
    assert ours.mean == pytest.approx(values.mean())
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.05)


def test_a_band_is_the_interval_at_every_point() -> None:
    matrix = np.random.default_rng(1).random((5, 7))
    low, mean, high = bootstrap_band(matrix)
    for point in range(7):
        interval = bootstrap_interval(matrix[:, point])
        assert (low[point], mean[point], high[point]) == pytest.approx((interval.low, interval.mean, interval.high))


@pytest.mark.parametrize("seeds", range(1, FEWEST))
def test_few_seeds_have_a_mean_but_no_interval(seeds: int) -> None:
    matrix = np.random.default_rng(seeds).random((seeds, 3))
    low, mean, high = bootstrap_band(matrix)
    assert mean.tolist() == pytest.approx(matrix.mean(axis=0).tolist())
    assert np.isnan([low, high]).all()
    assert np.isfinite(bootstrap_band(np.random.default_rng(0).random((FEWEST, 3)))).all()
    pairs = paired_comparison(matrix[:, 0], matrix[:, 1])
    assert math.isnan(pairs.low)
    assert math.isnan(pairs.high)


def test_a_table_lists_few_values_and_brackets_more() -> None:
    assert mean_with_interval([0.3964, 0.402]) == "0.396, 0.402 (2 seeds)"
    assert mean_with_interval([7.6], digits=0) == "8 (1 seed)"
    assert mean_with_interval([0.5] * FEWEST) == "0.500 [0.500, 0.500]"


def test_expanded_quantiles_match_a_t_interval() -> None:
    """The standard error of a bootstrap is the usual one times sqrt((n - 1) / n)."""
    for seeds in (2, 5, 8, 30):
        half = stats.norm.isf(expanded_tail(0.9, seeds)) * math.sqrt((seeds - 1) / seeds)
        assert half == pytest.approx(stats.t.ppf(0.95, seeds - 1))
    assert expanded_tail(0.9, 10_000) == pytest.approx(0.05, abs=1e-4)


@pytest.mark.parametrize("seeds", [5, 8, 20])
def test_ninety_percent_intervals_cover_the_truth_about_as_often(seeds: int) -> None:
    """A plain percentile bootstrap of five seeds would cover it in 79 %."""
    low, _, high = bootstrap_band(np.random.default_rng(seeds).normal(size=(seeds, 600)))
    assert 0.84 < np.mean((low <= 0) & (high >= 0)) < 0.95


@given(st.integers(1, 12), st.floats(0.01, 0.99))
@settings(max_examples=40, deadline=None)
def test_the_interval_of_a_share_is_exact(runs: int, share: float) -> None:
    """Its ends are the shares at which as many escapes or more, or as many or fewer, have probability 5 %."""
    intervals = [escaped_share([index < escaped for index in range(runs)]) for escaped in range(runs + 1)]
    for escaped, (mean, low, high, n) in enumerate(intervals):
        assert (mean, n) == (pytest.approx(escaped / runs), runs)
        assert stats.binom.sf(escaped - 1, runs, low) == pytest.approx(0.05 if escaped else 1.0)
        assert stats.binom.cdf(escaped, runs, high) == pytest.approx(0.05 if escaped < runs else 1.0)
    held = [each.low <= share <= each.high for each in intervals]
    assert stats.binom.pmf(range(runs + 1), runs, share)[held].sum() >= 0.9 - 1e-9


def test_a_mean_with_two_peaks_has_no_interval() -> None:
    values, escaped = [0.4] * 4 + [1.0] * 4, [False] * 4 + [True] * 4
    assert mean_beside_share(values, escaped) == "0.700"
    assert mean_beside_share(values, [True] * 8) == mean_with_interval(values)
    assert mean_beside_share(values[3:5], [False, True]) == "0.400, 1.000 (2 seeds)"


def test_a_share_is_shown_with_its_count() -> None:
    assert share_with_interval([True, False, True, False, True, False, True, False]) == "4 of 8 [0.19, 0.81]"
    with pytest.raises(ValueError, match="n must"):
        escaped_share([])


def test_the_p_value_is_over_all_sign_flips() -> None:
    a, b = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([1.5, 2.1, 3.9, 4.0, 7.0])
    differences = b - a
    observed = abs(differences.mean())
    flips = [abs(np.mean(differences * signs)) >= observed - 1e-12 for signs in itertools.product((-1, 1), repeat=5)]
    comparison = paired_comparison(a, b)
    assert comparison.p_value == pytest.approx(np.mean(flips))
    assert comparison.difference == pytest.approx(differences.mean())
    assert comparison.low <= comparison.difference <= comparison.high


def test_equal_conditions_differ_in_about_ten_percent() -> None:
    rng = np.random.default_rng(3)
    pairs = ((rng.normal(size=8), rng.normal(size=8)) for _ in range(200))
    different = np.mean([paired_comparison(a, b).p_value <= 0.1 for a, b in pairs])
    assert 0.04 < different < 0.16


def test_one_pair_has_no_p_value_and_unequal_ones_are_rejected() -> None:
    assert math.isnan(paired_comparison([1.0], [2.0]).p_value)
    with pytest.raises(ValueError, match="as many of each"):
        paired_comparison([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="need one value a seed"):
        paired_comparison([], [])


def test_a_missing_value_gives_no_p_value() -> None:
    comparison = paired_comparison([0.1, 0.2, 0.3, 0.4], [0.2, 0.3, math.nan, 0.5])
    assert math.isnan(comparison.p_value)
    assert math.isnan(comparison.difference)


@given(st.lists(st.one_of(st.floats(0, 1), st.just(math.nan)), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferroni(p_values: list[float]) -> None:
    """A comparison that cannot be tested is a member with a p-value of 1."""
    members, tested = range(len(p_values)), [1.0 if math.isnan(value) else value for value in p_values]
    found = holm(p_values)
    for index, value in enumerate(p_values):
        if math.isnan(value):
            assert math.isnan(found[index])
            continue
        families = [
            family for size in range(1, len(members) + 1) for family in itertools.combinations(members, size) if index in family
        ]
        closed = max(min(1.0, len(family) * min(tested[other] for other in family)) for family in families)
        assert found[index] == pytest.approx(closed)
