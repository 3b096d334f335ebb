import pandas as pd

from lab.report import conclusion, summary_table


def times(onset_2: list[float], observed: bool = True) -> pd.DataFrame:
    rows = [
        {"run": f"{n}-{seed}", "n_future": n, "seed": seed, "onset": onset, "onset_observed": True, "completion": 9e5,
         "completion_observed": observed}
        for n, column in ((1, [1e5 + 1e3 * seed for seed in range(6)]), (2, onset_2))
        for seed, onset in enumerate(column)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_conclusion_is_one_sentence_that_follows_from_the_numbers() -> None:
    later = conclusion(times([2e5 + 1e3 * seed for seed in range(6)]))
    assert later.startswith("Onset: copying reaches 50 % accuracy 98 % later in tokens seen with n = 2 than with n = 1")
    assert "completion: no reliable difference" in later
    assert later.endswith(".")
    assert later.count(". ") == 0


def test_where_there_is_no_difference_it_says_so() -> None:
    same = conclusion(times([1e5 + 1e3 * seed for seed in (1, 0, 3, 2, 5, 4)]))
    assert same.startswith("Onset: no reliable difference")


def test_times_that_no_run_reached_are_not_averaged() -> None:
    table = times([2e5] * 6, observed=False)
    assert "nothing can be said" in conclusion(table)
    tidy = pd.DataFrame({"run": table["run"], "n_future": table["n_future"], "step": 1, "metric": "m", "value": 0.5})
    shown = summary_table(tidy, table, "m")
    assert shown["completion (0.9), k tokens"].tolist() == ["-"] * 2
    assert shown["runs that reach 0.9"].tolist() == ["0 of 6 [0.00, 0.39]"] * 2
    assert shown["runs that reach 0.5"].tolist() == ["6 of 6 [0.61, 1.00]"] * 2
    assert shown["seeds"].tolist() == [6, 6]


def test_one_arm_alone_has_nothing_to_be_compared_with() -> None:
    table = times([2e5] * 6)
    assert "nothing to compare" in conclusion(table[table["n_future"] == 1])
