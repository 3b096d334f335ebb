import itertools
import math
from collections.abc import Set

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lab.analysis.emergence import emergence_table
from lab.analysis.statistics import (
    Comparison,
    bootstrap_band,
    bootstrap_interval,
    compare_emergence,
    emergence_sentence,
    holm,
    paired_comparison,
)


def test_the_interval_is_scipys_percentile_bootstrap() -> None:
    values = np.random.default_rng(0).normal(3, 1, 12)
    ours = bootstrap_interval(values)
    theirs = stats.bootstrap((values,), np.mean, confidence_level=0.9, method="percentile", rng=1, n_resamples=9999)
    assert ours.mean == pytest.approx(values.mean())
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.05)


def test_a_band_is_the_interval_at_every_point() -> None:
    matrix = np.random.default_rng(1).random((5, 7))
    low, mean, high = bootstrap_band(matrix)
    for point in range(7):
        interval = bootstrap_interval(matrix[:, point])
        assert (low[point], mean[point], high[point]) == pytest.approx((interval.low, interval.mean, interval.high))


def test_one_seed_has_a_band_without_width() -> None:
    low, mean, high = bootstrap_band([[1.0, 2.0]])
    assert low.tolist() == mean.tolist() == high.tolist() == [1.0, 2.0]


def test_ninety_percent_intervals_cover_the_truth_about_as_often() -> None:
    rng = np.random.default_rng(2)
    covered = [interval.low <= 0 <= interval.high for interval in (bootstrap_interval(rng.normal(size=20)) for _ in range(200))]
    assert 0.80 < np.mean(covered) < 0.97


def test_the_p_value_is_that_of_every_flip_of_signs() -> None:
    a, b = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([1.5, 2.1, 3.9, 4.0, 7.0])
    differences = b - a
    observed = abs(differences.mean())
    flips = [abs(np.mean(differences * signs)) >= observed - 1e-12 for signs in itertools.product((-1, 1), repeat=5)]
    comparison = paired_comparison(a, b)
    assert comparison.p_value == pytest.approx(np.mean(flips))
    assert comparison.difference == pytest.approx(differences.mean())
    assert comparison.low <= comparison.difference <= comparison.high


def test_arms_that_are_the_same_come_out_different_in_about_ten_percent() -> None:
    rng = np.random.default_rng(3)
    arms = ((rng.normal(size=8), rng.normal(size=8)) for _ in range(200))
    different = np.mean([paired_comparison(a, b).p_value <= 0.1 for a, b in arms])
    assert 0.04 < different < 0.16


def test_one_pair_has_no_p_value_and_wrong_arms_are_refused() -> None:
    assert math.isnan(paired_comparison([1.0], [2.0]).p_value)
    with pytest.raises(ValueError, match="as many of each"):
        paired_comparison([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="need one value a seed"):
        paired_comparison([], [])


def table(times: dict[int, list[float]], censored: Set[tuple[int, int]] = frozenset()) -> pd.DataFrame:
    rows = [
        {"run": f"{n}-{seed}", "n_future": n, "seed": seed, "onset": time, "onset_observed": (n, seed) not in censored}
        for n, column in times.items()
        for seed, time in enumerate(column)
    ]
    return pd.DataFrame(rows)


def test_times_that_all_runs_reach_are_compared_as_ratios() -> None:
    comparison = compare_emergence(table({1: [100, 200, 300, 400, 500], 2: [50, 100, 150, 200, 250]}), 1, 2, "onset")
    assert comparison.difference == pytest.approx(math.log(0.5))
    assert (comparison.n, comparison.p_value) == (5, pytest.approx(2 / 32))


def test_censored_times_are_compared_by_who_came_first() -> None:
    times = table({1: [100, 200, 300, 900, 900], 2: [900, 900, 100, 900, 200]}, {(2, 0), (2, 1), (1, 3), (2, 3), (1, 4)})
    comparison = compare_emergence(times, 1, 2, "onset")
    assert comparison.n == 4, "a pair of which neither emerged cannot be ordered"
    assert comparison.difference == 0.0  # twice later, twice earlier
    assert comparison.p_value == 1.0


def test_pairs_that_never_emerge_give_no_comparison() -> None:
    comparison = compare_emergence(table({1: [9.0], 2: [9.0]}, {(1, 0), (2, 0)}), 1, 2, "onset")
    assert comparison.n == 0
    assert "nothing can be said" in emergence_sentence(comparison, 1, 2, "copying passes 0.5")


def test_sentences_claim_what_the_numbers_allow_and_no_more() -> None:
    clear = Comparison(8, math.log(0.8), math.log(0.7), math.log(0.9), 0.01, "exact sign-flip permutation")
    text = emergence_sentence(clear, 1, 2, "copying passes 0.5")
    assert text.startswith("Copying passes 0.5 20 % earlier")
    assert "8 paired seeds" in text
    for doubtful in (clear._replace(p_value=0.2), clear._replace(high=math.log(1.1))):
        assert emergence_sentence(doubtful, 1, 2, "copying passes 0.5").startswith("No reliable difference")
    assert emergence_sentence(clear._replace(n=2), 1, 2, "copying passes 0.5").startswith("Too few seeds to tell")
    censored = Comparison(6, 1.0, 1.0, 1.0, 0.03, "exact sign test (censored times)")
    assert "in 100 % of pairs" in emergence_sentence(censored, 1, 2, "copying passes 0.9")


def test_statistics_need_no_torch() -> None:
    import subprocess
    import sys

    code = "import sys, lab.plots, lab.analysis.statistics, lab.analysis.emergence; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


@given(st.lists(st.one_of(st.floats(0, 1), st.just(math.nan)), min_size=1, max_size=6))
def test_holms_correction_is_the_closed_test_of_bonferronis(p_values: list[float]) -> None:
    members = [index for index, value in enumerate(p_values) if not math.isnan(value)]
    found = holm(p_values)
    for index, value in enumerate(p_values):
        if math.isnan(value):
            assert math.isnan(found[index])
            continue
        families = [
            family for size in range(1, len(members) + 1) for family in itertools.combinations(members, size) if index in family
        ]
        closed = max(min(1.0, len(family) * min(p_values[other] for other in family)) for family in families)
        assert found[index] == pytest.approx(closed)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [6, 8])
def test_two_arms_that_are_the_same_come_out_different_in_at_most_a_tenth(seeds: int) -> None:
    """A/A: 200 studies of synthetic emergence curves in which both arms have the same law, and share their seeds' luck."""
    rng = np.random.default_rng(seeds)
    tokens = np.arange(1, 61) * 1000.0
    called = {"value": 0, "time": 0}
    for _ in range(200):
        rows = []
        luck = rng.normal(0, 3000, seeds)
        for n in (1, 2):
            for seed in range(seeds):
                middle = 30_000 + luck[seed] + rng.normal(0, 4000)
                curve = 1 / (1 + np.exp(-(tokens - middle) / 3000)) + rng.normal(0, 0.01, len(tokens))
                rows.append(pd.DataFrame({"run": f"n{n}s{seed}", "n_future": n, "seed": seed, "step": range(60),
                                          "tokens": tokens, "metric": "accuracy/copy/1", "value": curve}))  # fmt: skip
        frame = pd.concat(rows)
        ends = frame[frame["tokens"] == 30_000].pivot_table(index="seed", columns="n_future", values="value")
        value = paired_comparison(ends[1].to_numpy(), ends[2].to_numpy())
        time = compare_emergence(emergence_table(frame, "accuracy/copy/1"), 1, 2, "onset")
        called["value"] += not emergence_sentence(value, 1, 2, "it happens").startswith("No reliable")
        called["time"] += not emergence_sentence(time, 1, 2, "it happens").startswith("No reliable")
    assert all(stats.binomtest(count, 200, 0.1, alternative="greater").pvalue > 0.01 for count in called.values()), called
