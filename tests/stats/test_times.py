import itertools
import math
from collections.abc import Set

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lab.errors import LabError
from lab.stats.emergence import emergence_table
from lab.stats.paired import ALPHA, Comparison, paired_comparison
from lab.stats.times import compare_emergence, emergence_sentence

WHAT = "copying reaches 50 % accuracy"


def table(times: dict[int, list[float]], censored: Set[tuple[int, int]] = frozenset()) -> pd.DataFrame:
    rows = [
        {"run": f"{n}-{seed}", "n_future": n, "seed": seed, "onset": time, "onset_observed": (n, seed) not in censored}
        for n, column in times.items()
        for seed, time in enumerate(column)
    ]
    return pd.DataFrame(rows)


def test_uncensored_times_are_compared_as_a_ratio_of_means() -> None:
    comparison = compare_emergence(table({1: [100, 200, 300, 400, 500], 2: [60, 100, 150, 200, 240]}), 1, 2, "onset")
    assert comparison.difference == pytest.approx(750 / 1500 - 1)
    assert (comparison.n, comparison.p_value) == (5, pytest.approx(2 / 32))
    assert comparison.low < -0.5 < comparison.high < 0
    assert comparison[-4:] == (0, 0, 0, 0)


def test_censored_runs_count_with_their_length() -> None:
    """The restricted times are 100, 200, 300, 900, 900 with n = 1 and 900, 900, 100, 900, 200 with n = 2."""
    times = table({1: [100, 200, 300, 900, 900], 2: [900, 900, 100, 900, 200]}, {(2, 0), (2, 1), (1, 3), (2, 3), (1, 4)})
    comparison = compare_emergence(times, 1, 2, "onset")
    assert (comparison.n, comparison.never_a, comparison.never_b, comparison.neither) == (5, 2, 3, 1)
    assert comparison.difference == pytest.approx(3000 / 2400 - 1)
    assert comparison.p_value == pytest.approx(14 / 16), "all flips but ±(800 - 700 + 200 - 700) are as far from 0"


def test_a_run_that_ended_too_early_is_no_evidence() -> None:
    """All runs of n = 2 end at 100, before any run of n = 1 emerged; both count as observed up to there."""
    times = table({1: [150, 140, 160, 150, 170, 150], 2: [100] * 6}, {(2, seed) for seed in range(6)})
    comparison = compare_emergence(times, 1, 2, "onset")
    assert (comparison.difference, comparison.p_value, comparison.neither) == (0.0, 1.0, 6)
    assert "nothing can be said" in emergence_sentence(comparison, 1, 2, WHAT)
    times.loc[0, "onset"] = 90.0
    assert compare_emergence(times, 1, 2, "onset").difference == pytest.approx(600 / 590 - 1)


PAIRS = st.lists(st.tuples(st.integers(1, 4), st.booleans(), st.integers(1, 4), st.booleans()), min_size=2, max_size=7)


@given(PAIRS)
def test_restricted_times_hold_for_every_true_time(pairs: list[tuple[int, bool, int, bool]]) -> None:
    """Any true times of censored runs, after their ends, give the same comparison; it agrees with brute force."""
    times = table({1: [a for a, *_ in pairs], 2: [b for _, _, b, _ in pairs]})
    times["onset_observed"] = [seen for _, seen, _, _ in pairs] + [seen for *_, seen in pairs]
    comparison = compare_emergence(times, 1, 2, "onset")
    restricted = []
    for a, seen_a, b, seen_b in pairs:
        observed_until = min([end for end, seen in ((a, seen_a), (b, seen_b)) if not seen], default=math.inf)
        truths = itertools.product([a] if seen_a else [a, a + 0.5, 99], [b] if seen_b else [b, b + 0.5, 99])
        possible = {(min(one, observed_until), min(other, observed_until)) for one, other in truths}
        assert len(possible) == 1
        restricted += list(possible)
    first, second = np.array(restricted, dtype=float).T
    assert comparison.n == len(pairs)
    assert comparison.difference == pytest.approx(second.mean() / first.mean() - 1)
    flips = [abs(np.dot(second - first, signs)) for signs in itertools.product((-1, 1), repeat=len(pairs))]
    assert comparison.p_value == pytest.approx(np.mean([flip >= flips[0] - 1e-9 for flip in flips]))


def test_emergence_at_the_start_has_no_size() -> None:
    comparison = compare_emergence(table({1: [0] * 6, 2: [1, 2, 6, 6, 7, 9]}), 1, 2, "onset")
    assert math.isnan(comparison.difference)
    assert comparison.p_value == pytest.approx(2 / 64)
    text = emergence_sentence(comparison, 1, 2, WHAT)
    assert text.startswith("Copying reaches 50 % accuracy from the start with n = 1")
    assert "nan" not in text
    some = compare_emergence(table({1: [0, 0, 5, 5, 7, 9], 2: [1, 2, 6, 6, 7, 9]}), 1, 2, "onset")
    assert some.difference == pytest.approx(31 / 26 - 1)


def test_several_runs_of_one_seed_are_rejected() -> None:
    times = pd.concat([table({1: [1.0], 2: [2.0]}), table({1: [3.0]})])
    with pytest.raises(LabError, match="n_future = 1 has several runs of seed 0"):
        compare_emergence(times, 1, 2, "onset")


def test_without_pairs_there_is_no_comparison() -> None:
    never = compare_emergence(table({1: [9.0], 2: [9.0]}, {(1, 0), (2, 0)}), 1, 2, "onset")
    unpaired_only = compare_emergence(table({1: [9.0], 2: [9.0]}).assign(seed=[0, 1]), 1, 2, "onset")
    assert (never.n, unpaired_only.n) == (1, 0)
    assert unpaired_only.unpaired == 2
    for comparison in (never, unpaired_only):
        assert "nothing can be said" in emergence_sentence(comparison, 1, 2, WHAT)


CLEAR = Comparison(8, -0.2, -0.3, -0.1, 0.01, "exact sign-flip permutation")


def test_sentences_claim_no_more_than_the_numbers_allow() -> None:
    text = emergence_sentence(CLEAR, 1, 2, WHAT)
    assert text == (
        "Copying reaches 50 % accuracy 20 % earlier in tokens seen with n = 2 than with n = 1 "
        "(90 % interval -30 to -10 %, p = 0.01, 8 pairs of seeds)."
    )
    for few in (2, 4):  # of four pairs the least p-value is 0.125
        text = emergence_sentence(CLEAR._replace(n=few, low=math.nan, high=math.nan), 1, 2, WHAT)
        assert text.startswith("Too few seeds to tell")
        assert "nan" not in text
    assert not emergence_sentence(CLEAR._replace(n=5), 1, 2, WHAT).startswith("Too few")
    censored = CLEAR._replace(never_a=3, never_b=2, neither=1)
    text = emergence_sentence(censored, 1, 2, WHAT)
    assert "8 pairs of seeds; 3 runs with n = 1 and 2 with n = 2 never get there (both of 1 pair)" in text
    assert text.endswith("and count with the length of the run).")
    alone = CLEAR._replace(unpaired=1)
    assert emergence_sentence(alone, 1, 2, WHAT).endswith("; 1 run without a partner of the same seed left out).")


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        (0.0, "accuracy at the same number of tokens with n = 2 as with n = 1"),
        (0.14, "accuracy 14 % later in tokens seen with n = 2 than with n = 1"),
        (-0.14, "accuracy 14 % earlier in tokens seen with n = 2 than with n = 1"),
        (-0.002, "accuracy less than 1 % earlier in tokens seen with n = 2 than with n = 1"),
    ],
)
def test_a_sentence_reads_well_for_every_sign(difference: float, words: str) -> None:
    text = emergence_sentence(CLEAR._replace(difference=difference, low=-0.002, high=0.002), 1, 2, WHAT)
    assert f"{words} (90 % interval +0 to +0 %" in text


@pytest.mark.parametrize("p_value", [0.01, ALPHA, 0.11, 1.0])
@pytest.mark.parametrize("high", [-0.1, 0.1])
def test_the_corrected_p_value_alone_decides_what_is_found(p_value: float, high: float) -> None:
    """An interval may exclude 0 where the exact test does not find a difference, and the other way round."""
    for p_holm in (None, p_value):
        comparison = CLEAR._replace(high=high, p_value=p_value if p_holm is None else 0.001)
        found = not emergence_sentence(comparison, 1, 2, WHAT, p_holm).startswith("No reliable difference")
        assert found == (p_value <= ALPHA)
    assert "p_holm = 0.5" in emergence_sentence(CLEAR, 1, 2, WHAT, 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [6, 8])
def test_equal_conditions_differ_in_at_most_a_tenth(seeds: int) -> None:
    """Run an A/A test of 200 studies of synthetic emergence curves; both conditions have one distribution and paired seeds.

    In `censored` runs end when about two of three have emerged.
    """
    rng = np.random.default_rng(seeds)
    tokens = np.arange(1, 61) * 1000.0
    called = {"value": 0, "time": 0, "censored": 0}
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
        shorter = emergence_table(frame[frame["tokens"] <= 32_000], "accuracy/copy/1")
        called["value"] += value.p_value <= ALPHA
        called["time"] += not emergence_sentence(time, 1, 2, "it happens").startswith("No reliable")
        called["censored"] += compare_emergence(shorter, 1, 2, "onset").p_value <= ALPHA
    assert all(stats.binomtest(count, 200, 0.1, alternative="greater").pvalue > 0.01 for count in called.values()), called
