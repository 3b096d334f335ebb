import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import LabError
from lab.stats.emergence import Emergence, emergence, emergence_table, escape_table

TOKENS = [0, 10, 20, 30, 40]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.1, 0.6, 0.7, 0.8, 0.9], Emergence(10, True)),
        ([0.1, 0.6, 0.2, 0.8, 0.9], Emergence(30, True)),
        ([0.9, 0.9, 0.1, 0.1, 0.1], Emergence(0, True)),
        ([0.1, 0.2, 0.3, 0.4, 0.49], Emergence(40, False)),
        ([0.1, 0.2, 0.3, 0.4, 0.9], Emergence(40, False)),  # not confirmed before the run ended
        ([0.1, 0.5, 0.5, 0.4, 0.3], Emergence(10, True)),  # at the threshold counts
    ],
)
def test_emergence_is_where_a_metric_passes_and_holds(values: list[float], expected: Emergence) -> None:
    assert emergence(TOKENS, values, 0.5) == expected


def test_the_confirmation_length_can_be_set() -> None:
    values = [0.1, 0.6, 0.7, 0.2, 0.9]
    assert emergence(TOKENS, values, 0.5, hold=1) == Emergence(10, True)
    assert emergence(TOKENS, values, 0.5, hold=3) == Emergence(40, False)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(1, 4))
@settings(max_examples=80, deadline=None)
def test_emergence_agrees_with_its_definition(values: list[float], hold: int) -> None:
    found = emergence(list(range(len(values))), values, 0.5, hold)
    starts = [start for start in range(len(values) - hold + 1) if all(value >= 0.5 for value in values[start : start + hold])]
    assert found == (Emergence(starts[0], True) if starts else Emergence(len(values) - 1, False))


@pytest.mark.parametrize(
    ("tokens", "values", "hold"), [([], [], 2), ([1, 2], [0.1], 2), ([2, 1], [0.1, 0.2], 2), ([1, 1], [0, 0], 2), ([1], [0], 0)]
)
def test_invalid_curves_are_rejected(tokens: list[float], values: list[float], hold: int) -> None:
    with pytest.raises(ValueError, match=r"must|needs"):
        emergence(tokens, values, 0.5, hold)


def test_a_table_has_onset_and_completion_of_every_run() -> None:
    curves = {("a", 1, 0): [0, 0.5, 0.6, 0.95, 0.99], ("b", 2, 0): [0, 0.1, 0.6, 0.7, 0.8]}
    rows = [
        (run, n, seed, tokens, "accuracy/copy/1", value)
        for (run, n, seed), values in curves.items()
        for tokens, value in zip(TOKENS, values, strict=True)
    ]
    frame = pd.DataFrame(rows, columns=["run", "n_future", "seed", "tokens", "metric", "value"]).sample(frac=1, random_state=0)
    times = emergence_table(frame, "accuracy/copy/1")
    shares = escape_table(times, "completion").set_index("n_future")
    assert shares.loc[1, ["escaped", "runs", "share"]].tolist() == [1, 1, 1.0]
    assert shares.loc[2, ["escaped", "runs", "share"]].tolist() == [0, 1, 0.0]
    assert shares.loc[2, "high"] == pytest.approx(0.95)
    table = times.set_index("run")
    assert table.loc["a", ["onset", "onset_observed", "completion", "completion_observed"]].tolist() == [10, True, 30, True]
    assert table.loc["b", ["onset", "onset_observed", "completion", "completion_observed"]].tolist() == [20, True, 40, False]


def test_a_diverged_run_counts_as_never_escaped() -> None:
    rows = [("a", step, 0.9, "diverged") for step in range(4)] + [("b", step, 0.9, "finished") for step in range(9)]
    frame = pd.DataFrame(rows, columns=["run", "tokens", "value", "state"]).assign(n_future=1, seed=0, metric="m")
    table = emergence_table(frame, "m").set_index("run")
    assert table.loc["a", ["onset", "onset_observed"]].tolist() == [8, False]
    assert table.loc["b", ["onset", "onset_observed"]].tolist() == [0, True]


@pytest.mark.parametrize(("tokens", "message"), [(5, "r: the tokens seen must be"), (float("nan"), "r: "), (None, "no column")])
def test_tokens_that_time_nothing_are_rejected(tokens: float | None, message: str) -> None:
    frame = pd.DataFrame({"run": "r", "n_future": 1, "seed": 0, "metric": "m", "value": [0.1, 0.2, 0.3]})
    with pytest.raises(LabError, match=message):
        emergence_table(frame if tokens is None else frame.assign(tokens=tokens), "m")
