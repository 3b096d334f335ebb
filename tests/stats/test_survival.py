import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lab.stats.paired import sign_flip
from lab.stats.survival import log_rank, survival_comparisons, survival_curve

RUNS = st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=12)


@given(RUNS)
@settings(max_examples=60, deadline=None)
def test_the_share_is_the_product_over_times(runs: list[tuple[int, bool]]) -> None:
    curve = survival_curve([time for time, _ in runs], [seen for _, seen in runs])
    assert curve.loc[0, ["tokens", "share"]].tolist() == [0.0, 1.0]
    share = 1.0
    for time in sorted({time for time, _ in runs}):
        at_risk = sum(other >= time for other, _ in runs)
        share *= 1 - sum(other == time and seen for other, seen in runs) / at_risk
        row = curve[curve["tokens"] == time].iloc[0]
        assert row["share"] == pytest.approx(share, abs=1e-12)
        assert row["runs"] == at_risk
        assert row["low"] - 1e-12 <= row["share"] <= row["high"] + 1e-12


def test_the_interval_is_greenwoods_on_the_log_log_scale() -> None:
    times = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    curve = survival_curve(times, [True, True, False, True, False, True])
    row = curve[curve["tokens"] == 4.0].iloc[0]
    share = 5 / 6 * 4 / 5 * 2 / 3
    variance = 1 / (6 * 5) + 1 / (5 * 4) + 1 / (3 * 2)
    width = stats.norm.ppf(0.95) * math.sqrt(variance) / abs(math.log(share))
    assert (row["share"], row["low"], row["high"]) == pytest.approx(
        (share, share ** math.exp(width), share ** math.exp(-width)), abs=1e-12
    )


def test_without_censoring_it_is_the_share_of_later_times() -> None:
    curve = survival_curve([3.0, 1.0, 2.0, 2.0], [True] * 4)
    assert curve["share"].tolist() == [1.0, 0.75, 0.25, 0.0]


def test_all_or_none_emerged_gives_the_binomial_interval() -> None:
    none = survival_curve([9.0] * 8, [False] * 8).iloc[-1]
    every = survival_curve([9.0] * 8, [True] * 8).iloc[-1]
    exact = [stats.binomtest(count, 8).proportion_ci(0.9, method="exact") for count in (8, 0)]
    assert (none["low"], none["high"]) == pytest.approx((exact[0].low, 1.0))
    assert (every["low"], every["high"]) == pytest.approx((0.0, exact[1].high))


def test_runs_censored_before_do_not_narrow_the_interval() -> None:
    """Nine runs are watched for one token alone: what follows is known of the other two."""
    curve = survival_curve([1.0] * 9 + [5.0, 7.0], [False] * 9 + [False, True])
    low_of_2, high_of_1 = (stats.binomtest(k, n).proportion_ci(0.9, method="exact") for k, n in ((2, 2), (0, 1)))
    assert curve.loc[curve["tokens"] == 5, "low"].item() == pytest.approx(low_of_2.low)
    assert curve.loc[curve["tokens"] == 7, "high"].item() == pytest.approx(high_of_1.high)


def test_a_survival_curve_of_nothing_is_rejected() -> None:
    with pytest.raises(ValueError, match="at least one run"):
        survival_curve([], [])


Group = list[tuple[int, bool]]


def observed_minus_expected(a: Group, b: Group) -> float:
    """Compute observed minus expected events of group a, one time after the other, as in a textbook."""
    difference = 0.0
    for time in {time for time, seen in a + b if seen}:
        risk = [sum(other >= time for other, _ in group) for group in (a, b)]
        events = [sum(other == time and seen for other, seen in group) for group in (a, b)]
        difference += events[0] - sum(events) * risk[0] / sum(risk)
    return difference


@given(st.lists(st.tuples(st.integers(1, 5), st.booleans()), min_size=5, max_size=8), st.integers(2, 3))
@settings(max_examples=60, deadline=None)
def test_the_log_rank_test_permutes_runs_exhaustively(runs: Group, size: int) -> None:
    permuted = []
    for chosen in itertools.combinations(range(len(runs)), size):
        rest = [run for index, run in enumerate(runs) if index not in chosen]
        permuted.append(observed_minus_expected([runs[index] for index in chosen], rest))
    below, above = (np.mean([sign * each <= sign * permuted[0] + 1e-9 for each in permuted]) for sign in (1, -1))
    groups = runs[:size], runs[size:]
    found = log_rank(*(list(column) for group in groups for column in zip(*group, strict=True)))
    assert found == pytest.approx(min(1.0, 2 * min(below, above)))


def test_ties_up_to_rounding_are_ties() -> None:
    assert log_rank([1, 2, 2], [True] * 3, [1, 1, 1], [False, False, True]) == 1.0
    assert sign_flip(np.array([0.1, 0.2, -0.3]))[0] == 1.0
    assert sign_flip(np.array([0.2, 0.1, -0.1, -0.2, 0.0]))[0] == 1.0


def test_with_many_runs_the_log_rank_test_is_the_usual_one() -> None:
    rng = np.random.default_rng(0)
    times = [np.minimum(rng.exponential(scale, 60), 2.0) for scale in (1.0, 1.4)]
    seen = [each < 2.0 for each in times]
    usual = stats.logrank(
        *(stats.CensoredData(each[is_seen], right=each[~is_seen]) for each, is_seen in zip(times, seen, strict=True))
    )
    assert log_rank(times[0], seen[0], times[1], seen[1]) == pytest.approx(usual.pvalue, abs=0.02)


def test_complete_separation_of_eight_and_eight_has_the_least_p() -> None:
    found = log_rank([9.0] * 8, [False] * 8, list(range(1, 9)), [True] * 8)
    assert found == pytest.approx(2 / math.comb(16, 8))


def test_runs_that_start_above_have_emerged_at_the_start() -> None:
    assert survival_curve([0, 0, 50], [True] * 3)[["tokens", "share"]].to_numpy().tolist() == [
        [0, pytest.approx(1 / 3)],
        [50, 0],
    ]


def test_conditions_without_events_do_not_differ() -> None:
    assert log_rank([5.0, 5.0], [False, False], [5.0, 6.0], [False, False]) == 1.0
    assert log_rank([5.0, 5.0], [True, True], [5.0, 5.0], [True, True]) == 1.0, "all events have one time"
    assert math.isnan(log_rank([5.0, 5.0], [True, True], [6.0], [True])), "there is a single run"


def test_all_pairs_of_conditions_are_compared() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for group, late in (("plain", 1000.0), ("two heads", 300.0), ("again", 300.0)):
        for seed in range(8):
            time = min(1000.0, late * rng.uniform(0.8, 1.2))
            rows.append({"group": group, "seed": seed, "onset": time, "onset_observed": time < 1000.0})
    found = survival_comparisons(pd.DataFrame(rows), "onset", column="group").set_index(["a", "b"])
    assert list(found.index) == [("plain", "two heads"), ("plain", "again"), ("two heads", "again")]
    assert found.loc[("plain", "two heads"), "p_log_rank_holm"] < 0.01
    assert found.loc[("plain", "two heads"), "p_paired"] == pytest.approx(2 / 2**8)
    assert found.loc[("two heads", "again"), "p_log_rank"] > 0.1
    assert found.loc[("plain", "two heads"), "pairs"] == 8
    assert (found["p_log_rank_holm"] >= found["p_log_rank"]).all()
    assert found["found"].tolist() == [True, True, False]
    assert found["p_log_rank_least"].tolist() == pytest.approx([3 * 2 / math.comb(16, 8)] * 3)
    assert found["p_paired_least"].tolist() == pytest.approx([3 * 2 / 2**8] * 3)
    assert found.loc[("plain", "two heads"), ["low", "later", "high"]].is_monotonic_increasing
    assert found.loc[("plain", "two heads"), "high"] < -0.5


def test_a_comparison_without_events_stays_in_the_family() -> None:
    """Without it the least p-value of eight pairs would be corrected for too few comparisons."""
    times = {"plain": 900.0, "again": 900.0, "two heads": 300.0}
    rows = [
        {"group": group, "seed": seed, "onset": time, "onset_observed": time < 900}
        for group, time in times.items()
        for seed in range(8)
    ]
    found = survival_comparisons(pd.DataFrame(rows), "onset", column="group").set_index(["a", "b"])
    assert found.loc[("plain", "again"), ["pairs", "neither", "p_paired"]].tolist() == [8, 8, 1.0]
    assert found.loc[("plain", "two heads"), "p_paired_holm"] == pytest.approx(3 * 2 / 2**8)


@pytest.mark.slow
def test_the_log_rank_test_is_conservative_for_similar_pairs() -> None:
    """Both conditions have one distribution; the seed causes half of the variance of log times."""
    rng, found = np.random.default_rng(0), 0
    for _ in range(200):
        luck = rng.normal(size=8)
        a, b = (np.exp((luck + rng.normal(size=8)) / math.sqrt(2)) for _ in range(2))
        found += log_rank(np.minimum(a, 2), a < 2, np.minimum(b, 2), b < 2) <= 0.1
    assert found <= 0.05 * 200
