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
    FEWEST,
    Comparison,
    bootstrap_band,
    bootstrap_interval,
    compare_emergence,
    emergence_sentence,
    expanded,
    holm,
    mean_with_interval,
    paired_comparison,
)
from lab.errors import LabError


def test_the_interval_is_scipys_percentile_bootstrap_at_an_expanded_level() -> None:
    values = np.random.default_rng(0).normal(3, 1, 12)
    ours = bootstrap_interval(values)
    level = 1 - 2 * expanded(0.9, 12)
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


def test_expanded_quantiles_are_those_of_a_t_interval_where_the_bootstrap_is_normal() -> None:
    """A bootstrap's standard error is the usual one times sqrt((n - 1) / n)."""
    for seeds in (2, 5, 8, 30):
        half = stats.norm.isf(expanded(0.9, seeds)) * math.sqrt((seeds - 1) / seeds)
        assert half == pytest.approx(stats.t.ppf(0.95, seeds - 1))
    assert expanded(0.9, 10_000) == pytest.approx(0.05, abs=1e-4)


@pytest.mark.parametrize("seeds", [5, 8, 20])
def test_ninety_percent_intervals_cover_the_truth_about_as_often(seeds: int) -> None:
    """A plain percentile bootstrap of five seeds would do so in 79 %."""
    rng = np.random.default_rng(seeds)
    intervals = (bootstrap_interval(rng.normal(size=seeds)) for _ in range(600))
    covered = [interval.low <= 0 <= interval.high for interval in intervals]
    assert 0.84 < np.mean(covered) < 0.95


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


def test_a_missing_value_gives_no_p_value() -> None:
    comparison = paired_comparison([0.1, 0.2, 0.3, 0.4], [0.2, 0.3, math.nan, 0.5])
    assert math.isnan(comparison.p_value)
    assert math.isnan(comparison.difference)


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


def test_a_run_that_ended_too_soon_is_no_evidence() -> None:
    """Of n = 2 all runs end at 100, where n = 1 had not emerged either."""
    times = table({1: [150, 140, 160, 150, 170, 150], 2: [100] * 6}, {(2, seed) for seed in range(6)})
    assert compare_emergence(times, 1, 2, "onset").n == 0
    times.loc[0, "onset"] = 90.0
    assert compare_emergence(times, 1, 2, "onset").n == 1


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 4), st.booleans()), min_size=1, max_size=9))
def test_pairs_are_ordered_as_every_truth_behind_them_is(pairs: list[tuple[int, bool, int, bool]]) -> None:
    """Whatever the true times of censored runs are, beyond their ends: who came first must be the same."""
    times = table({1: [a for a, *_ in pairs], 2: [b for _, _, b, _ in pairs]})
    times["onset_observed"] = [seen for _, seen, _, _ in pairs] + [seen for *_, seen in pairs]
    signs = []
    for a, seen_a, b, seen_b in pairs:
        truths_a, truths_b = ([time] if seen else [time + 0.5, 99] for time, seen in ((a, seen_a), (b, seen_b)))
        possible = {np.sign(y - x) for x, y in itertools.product(truths_a, truths_b)}
        signs += list(possible) if len(possible) == 1 else []
    comparison = compare_emergence(times, 1, 2, "onset")
    if not comparison.test.startswith("exact sign test"):
        return
    told_apart = [sign for sign in signs if sign]
    assert comparison.n == len(told_apart)
    assert comparison.difference == pytest.approx(np.mean(told_apart))


def test_what_is_there_from_the_start_has_no_ratio() -> None:
    comparison = compare_emergence(table({1: [0, 0, 5, 5, 7, 9], 2: [1, 2, 6, 6, 7, 9]}), 1, 2, "onset")
    assert (comparison.n, comparison.difference) == (4, 1.0)
    text = emergence_sentence(comparison, 1, 2, "copying passes 0.5")
    assert "in 100 % of the pairs that can be ordered; some have it from the start" in text


def test_several_runs_of_one_seed_are_refused() -> None:
    times = pd.concat([table({1: [1.0], 2: [2.0]}), table({1: [3.0]})])
    with pytest.raises(LabError, match="n_future = 1 has several runs of seed 0"):
        compare_emergence(times, 1, 2, "onset")


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
    for few in (2, 4):  # of four pairs the least p-value is 0.125
        text = emergence_sentence(clear._replace(n=few, low=math.nan, high=math.nan), 1, 2, "copying passes 0.5")
        assert text.startswith("Too few seeds to tell")
        assert "nan" not in text
    assert not emergence_sentence(clear._replace(n=5), 1, 2, "copying passes 0.5").startswith("Too few")
    censored = Comparison(6, 1.0, 1.0, 1.0, 0.03, "exact sign test (censored times)")
    assert "in 100 % of the pairs that can be ordered; some runs never get there" in emergence_sentence(
        censored, 1, 2, "copying passes 0.9"
    )


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
