"""The share of runs that solve a task agrees with runs counted by hand."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta

from lab.stats.compared import compare_ends
from lab.stats.solved import notes_on_solved, solved_table
from tests.helpers.frames import synthetic_frame

METRIC = "accuracy/copy/1"
ENDS = {1: [0.2, 0.94, 0.95, 0.3, 1.0, 0.1], 2: [0.99, 1.0, 0.97, 0.96, 1.0, 0.4]}
"""End value of each seed; two of n = 1 and five of n = 2 are at 0.95 or above."""
BEGINS = {1: [100, 60, 80, 100, 40, 100], 2: [20, 20, 40, 60, 20, 80]}
"""Step from which a run is at 0.6, until its last step."""


def runs(**columns: Any) -> pd.DataFrame:
    def curve(own: Any, seed: int, step: int) -> dict[str, float]:
        n = own["n_future"]
        middle = 0.6 if step >= BEGINS[n][seed] else 0.1
        return {METRIC: ENDS[n][seed] if step == 100 else middle, "loss/all/1": 1 - ENDS[n][seed] * (step == 100)}

    return synthetic_frame([{"n_future": n} for n in ENDS], curve, seeds=6, tokens_per_step=10).assign(**columns)


def table(frame: pd.DataFrame, threshold: float = 0.95, metric: str = METRIC, **options: Any) -> pd.DataFrame:
    return solved_table(frame, metric, threshold, ["n_future"], **options).set_index("n_future")


def exact_interval(count: int, runs: int) -> tuple[float, float]:
    """Compute Clopper and Pearson's interval from quantiles of the beta distribution."""
    low = 0.0 if count == 0 else beta.ppf(0.05, count, runs - count + 1)
    high = 1.0 if count == runs else beta.ppf(0.95, count + 1, runs - count)
    return float(low), float(high)


def test_runs_at_the_threshold_or_above_are_counted() -> None:
    found = table(runs())
    assert found["solved"].tolist() == [2, 5]
    assert found["solved_of"].tolist() == [6, 6]
    assert found["solved_share"].tolist() == pytest.approx([2 / 6, 5 / 6])
    for n, count in ((1, 2), (2, 5)):
        assert tuple(found.loc[n, ["solved_low", "solved_high"]]) == pytest.approx(exact_interval(count, 6))
    assert table(runs(), 0.2)["solved"].tolist() == [5, 6]


def test_onset_is_the_time_by_which_half_had_emerged() -> None:
    """With n = 1 the onsets are 40, 60, 80 and three times never; with n = 2 they are 20, 20, 20, 40, 60 and once never."""
    assert table(runs())["onset"].tolist() == [800.0, 200.0]
    late = runs()
    late.loc[(late["n_future"] == 1) & (late["step"] < 100), "value"] = 0.1
    assert math.isnan(table(late)["onset"][1]), "fewer than half reached it"


def test_a_low_loss_counts_as_solved_and_has_no_onset() -> None:
    found = table(runs(), 0.05 + 1e-9, "loss/all/1")
    assert found["solved"].tolist() == [2, 5]
    assert found["onset"].isna().all()


def test_the_best_evaluation_counts_if_it_is_chosen() -> None:
    assert table(runs(), 0.5)["solved"].tolist() == [3, 5]
    assert table(runs(), 0.5, rule="best")["solved"].tolist() == [3, 6], "seed 5 of n = 2 was at 0.6 once"


def test_a_run_that_diverged_is_not_solved() -> None:
    frame = runs()
    frame["state"] = np.where(frame["run"] == "1-0", "diverged", "finished")
    frame.loc[(frame["run"] == "1-0") & (frame["step"] == 100), "value"] = np.nan
    found = table(frame)
    assert (found["solved_of"][2], found["solved"][2]) == (6, 4)
    assert table(frame, 0.5, rule="best")["solved"][2] == 5, "the run was at 0.6 before"
    assert notes_on_solved(frame, METRIC, 0.95) == ["diverged, so that they count as not solved: 1-0"]
    compared = compare_ends(frame, METRIC, solved=0.95)
    assert compared.table["runs"].tolist() == [6, 5], "the mean is over finished runs"
    assert compared.table["solved_of"].tolist() == [6, 6]
    assert "diverged, so that they count as not solved: 1-0" in compared.notes


def test_a_run_that_ended_early_below_the_threshold_is_unknown() -> None:
    frame = runs(state="finished")
    frame["reached"] = np.where(frame["run"].isin(["0-0", "1-0"]), "accuracy/copy/1 >= 0.1 twice in a row", "")
    found = table(frame)
    assert found.loc[1, ["solved", "solved_of", "solved_share", "solved_low", "onset"]].isna().all()
    assert found["solved"][2] == 5, "seed 0 of n = 2 ended early and above"
    assert found["onset"][2] == 200.0
    (note,) = notes_on_solved(frame, METRIC, 0.95)
    assert note == (
        "whether they solve it is not known of 1 run that ended early (evaluation.stop): choose a threshold that they passed"
    )
    assert table(frame, 0.2)["solved"].tolist() == [5, 6], "the run passed this threshold"


def test_a_comparison_has_the_share_only_if_it_is_asked_for() -> None:
    plain, counted = compare_ends(runs(), METRIC), compare_ends(runs(), METRIC, solved=0.95)
    added = ["solved_threshold", "solved", "solved_of", "solved_share", "solved_low", "solved_high", "onset"]
    pd.testing.assert_frame_equal(counted.table.drop(columns=added), plain.table)
    assert counted.table["solved"].tolist() == [2, 5]
