"""Sentences of comparisons claim no more than their numbers show."""

import math

import pandas as pd
import pytest

from lab.reports.findings import conclusion, end_conclusion

LABEL = "copying accuracy"
SEEDS = range(6)
LATER = [2e5 + 1e3 * seed for seed in SEEDS]


def times(onset_2: list[float], completed: bool = True, passed_1: bool = True) -> pd.DataFrame:
    """Return times with n = 1, whose onsets are 100 to 105 thousand tokens, and with n = 2."""
    rows = [
        {"run": f"{n}-{seed}", "n_future": n, "seed": seed, "onset": onset, "onset_observed": n == 2 or passed_1}
        for n, column in ((1, [1e5 + 1e3 * seed for seed in SEEDS]), (2, onset_2))
        for seed, onset in enumerate(column)
    ]
    return pd.DataFrame(rows).assign(completion=9e5, completion_observed=completed)


def test_a_sentence_states_the_numbers_of_a_difference() -> None:
    sentence, unexplained = conclusion(times(LATER), LABEL)
    onset, completion = sentence.split(". ")
    assert onset.startswith(
        "Copying accuracy reaches 50 % after 98 % more training tokens with n = 2 than with n = 1 (90 % interval +"
    )
    assert onset.endswith("p = 0.031, where 6 pairs can give 0.031 at least)")
    assert completion.startswith("Copying accuracy reaches 90 % after as many training tokens with n = 2 as")
    assert ": no reliable difference (" in completion
    assert not unexplained


@pytest.mark.parametrize(("shift", "words"), [(-5e4, "fewer training tokens"), (5e4, "more training tokens")])
def test_the_direction_is_that_of_the_numbers(shift: float, words: str) -> None:
    assert words in conclusion(times([1e5 + 1e3 * seed + shift for seed in SEEDS]), LABEL)[0]


def test_a_missing_difference_is_stated() -> None:
    same = conclusion(times([1e5 + 1e3 * seed for seed in (1, 0, 3, 2, 5, 4)]), LABEL)[0]
    assert ": no reliable difference" in same.split(". ")[0]


def test_runs_that_never_emerge_are_counted() -> None:
    sentence = conclusion(times([5e4 + 1e3 * seed for seed in SEEDS], passed_1=False), LABEL)[0].split(". ")[0]
    assert "reaches 50 % in 6 of 6 runs with n = 2 (half of them by 52 thousand tokens)" in sentence
    assert "and in 0 of 6 runs with n = 1 (watched up to 105 thousand tokens)" in sentence


def test_times_that_no_run_reached_give_no_claim() -> None:
    assert "nothing can be said" in conclusion(times([2e5] * 6, completed=False), LABEL)[0]


def test_one_condition_alone_is_not_compared() -> None:
    table = times([2e5] * 6)
    assert "nothing to compare" in conclusion(table[table["n_future"] == 1], LABEL)[0]


def test_few_pairs_give_no_claim() -> None:
    table = times(LATER)
    assert "too few seeds to tell" in conclusion(table[table["seed"] < 3], LABEL)[0]


def test_an_interval_that_contradicts_the_test_is_marked() -> None:
    onset = [1e5 + 1e3 * seed + 2e4 * ahead for seed, ahead in enumerate((1, 1, 1, 1, -0.1, -0.1))]
    sentence, unexplained = conclusion(times(onset), LABEL)
    assert ": no reliable difference" in sentence.split(". ")[0]
    assert unexplained


def test_the_least_p_is_that_of_a_corrected_one() -> None:
    third = times(LATER)[lambda rows: rows["n_future"] == 2].assign(n_future=3)
    sentence = conclusion(pd.concat([times(LATER), third]), LABEL)[0]
    assert sentence.count("p = 0.062, where 6 pairs can give 0.062 at least") == 2


def test_conditions_without_a_value_in_pairs_are_not_silent() -> None:
    values = {1: [0.5, 0.6, 0.7], 2: [math.nan] * 3, 3: [math.nan, 0.5, 0.6]}
    rows = pd.DataFrame(
        [
            {"run": f"{n}-{seed}", "n_future": n, "seed": seed, "step": 9, "metric": "loss/all/1", "value": value}
            for n, column in values.items()
            for seed, value in enumerate(column)
        ]
    )
    sentence, _ = end_conclusion(rows, "loss/all/1")
    assert sentence.startswith(
        "No seed has loss on all scored tokens (next token) at the end with n = 1 and with n = 2, so that nothing can be said."
    )
    assert "is 0.1 nats lower with n = 3 than with n = 1: too few seeds to tell (p = 0.5, where 2 pairs can" in sentence
    apart = rows[rows["n_future"] != 2].assign(seed=range(6))
    assert end_conclusion(apart, "loss/all/1")[0].endswith("with n = 1 and with n = 3, so that nothing can be said.")
