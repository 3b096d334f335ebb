"""Summaries of instruments: means of the last step, a column for each condition."""

import pandas as pd

from lab.stats.summaries import answer_errors, choice_weights


def rows(**coordinates: object) -> pd.DataFrame:
    of_runs = [
        {"run": f"n{n}-{seed}", "task": "star", "n_future": n, "seed": seed, "parameters": 9, "state": "finished", "step": step}
        | {"tokens": 10.0 * step, "value": n + seed / 2 + (step - 5)}
        for n in (1, 2)
        for seed in (0, 1)
        for step in (0, 5)
    ]
    return pd.DataFrame([{**each, **coordinates} for each in of_runs])


def test_conditions_are_columns() -> None:
    (table,) = choice_weights(pd.concat([rows(role="choice", quantity=each) for each in ("loss", "gradient")])).values()
    assert list(table.columns) == ["role", "quantity", "n = 1", "n = 2"]
    assert table[["n = 1", "n = 2"]].to_numpy().tolist() == [["1.25", "2.25"]] * 2, "the values are those of the last step"


def test_positions_are_left_out() -> None:
    frame = pd.concat([rows(quantity="first error", role="all", position=position) for position in (-1, 0, 1)])
    (table,) = answer_errors(frame).values()
    assert table.to_numpy().tolist() == [["first error", "all", "1.25", "2.25"]]
