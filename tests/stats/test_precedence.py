"""Orders of events within runs, counted by hand."""

import pandas as pd
import pytest

from lab.stats.precedence import order_table, precedence_table

NEVER = 900.0


def times(*runs: tuple[int, float, float, float]) -> pd.DataFrame:
    """Return a table of three events a, b, c; NEVER marks an event that did not occur by the end of the run, 900 tokens."""
    rows = []
    for seed, (n, *moments) in enumerate(runs):
        row: dict[str, object] = {"run": f"{n}-{seed}", "n_future": n, "seed": seed}
        for name, moment in zip("abc", moments, strict=True):
            row |= {name: moment, f"{name}_observed": moment != NEVER}
        rows.append(row)
    return pd.DataFrame(rows)


TIMES = times((1, 10, 20, 30), (1, 40, 50, 60), (1, 20, 20, NEVER), (2, 30, NEVER, NEVER), (2, NEVER, NEVER, NEVER))


def test_orders_are_counted_for_each_condition() -> None:
    table = order_table(TIMES, ["a", "b", "c"])
    assert table.to_numpy().tolist() == [
        [1, "a < b < c", 2, 3],
        [1, "a = b; never: c", 1, 3],
        [2, "a; never: b, c", 1, 2],
        [2, "never: a, b, c", 1, 2],
    ]


def test_an_event_that_occurred_precedes_one_that_did_not() -> None:
    table = precedence_table(TIMES, ["a", "b", "c"]).set_index(["n_future", "first", "second"])
    counts = ["before", "together", "after", "neither", "censored"]
    assert table.loc[(1, "a", "b"), counts].tolist() == [2, 1, 0, 0, 0]
    assert table.loc[(1, "b", "c"), counts].tolist() == [3, 0, 0, 0, 1]
    assert table.loc[(2, "a", "b"), counts].tolist() == [1, 0, 0, 1, 1]
    assert table.loc[(2, "b", "c"), counts].tolist() == [0, 0, 0, 2, 0]
    assert precedence_table(TIMES, ["c", "a"]).loc[0, counts].tolist() == [0, 0, 3, 0, 1]


def test_the_p_value_is_that_of_a_sign_test() -> None:
    table = precedence_table(times(*[(1, 10.0, 20.0, 5.0)] * 7, (1, 20.0, 10.0, 5.0)), ["a", "b", "c"])
    of_a_and_b = table.iloc[0]
    assert (of_a_and_b["before"], of_a_and_b["after"]) == (7, 1)
    assert of_a_and_b["p_value"] == pytest.approx(2 * (1 + 8) / 2**8)
    assert table["p_holm"].min() == pytest.approx(3 * 2 / 2**8)
    assert precedence_table(TIMES, ["b", "c"]).iloc[1]["p_value"] == 1.0, "no event occurred"


def test_no_p_value_is_below_the_least_of_many_runs() -> None:
    (pair,) = precedence_table(times(*[(1, 10.0, 20.0, 30.0)] * 16), ["a", "b"]).to_dict("records")
    assert pair["p_value"] == pair["p_least"] == pytest.approx(2 / 2**16), "the sign test samples no permutations"
