"""Means and paired differences of an instrument's values."""

import numpy as np
import pandas as pd
import pytest

from lab.stats.bootstrap import bootstrap_interval
from lab.stats.inspected import condition_means, last_means, mean_at_steps, paired_differences

SEEDS = range(6)


def make_frame(missing: tuple[int, ...] = ()) -> pd.DataFrame:
    """Return values of two layers in runs with n = 1 and n = 2: layer 1 differs by exactly 1 + layer 0's value / 10."""
    rows = []
    for n in (1, 2):
        for seed in SEEDS:
            described = {"run": f"n{n}-{seed}", "task": "star", "n_future": n, "seed": seed, "state": "finished", "step": 5}
            for layer in (0, 1):
                if not (n == 2 and layer == 1 and seed in missing):
                    value = seed + layer + (n - 1) * layer * (1 + seed / 10)
                    rows.append({**described, "tokens": 50, "layer": layer, "value": float(value)})
    return pd.DataFrame(rows)


def test_means_are_over_the_seeds_that_have_a_value() -> None:
    table = condition_means(make_frame(missing=(5,)), ["layer"]).table.set_index(["condition", "layer"])
    values = np.array([seed + 1 + 1 + seed / 10 for seed in range(5)])
    assert table.loc[("n = 2", 1), "seeds"] == 5
    expected = bootstrap_interval(values)
    np.testing.assert_allclose(table.loc[("n = 2", 1), ["mean", "low", "high"]].astype(float), expected[:3])
    assert table.loc[("n = 1", 1), "seeds"] == 6


def test_differences_are_paired_by_seed() -> None:
    table = paired_differences(make_frame(), ["layer"]).set_index("layer")
    assert list(table["comparison"].unique()) == ["n = 2 against n = 1"]
    assert table.loc[0, "difference"] == 0
    assert table.loc[1, "difference"] == pytest.approx(np.mean([1 + seed / 10 for seed in SEEDS]))
    assert table.loc[1, "p_value"] == pytest.approx(2 / 2**6)
    assert table.loc[1, "p_holm"] == pytest.approx(2 * 2 / 2**6)
    assert table.loc[1, "p_least"] == pytest.approx(2 * 2 / 2**6)


def test_a_seed_without_a_value_is_left_out() -> None:
    table = paired_differences(make_frame(missing=(0,)), ["layer"]).set_index("layer")
    assert table.loc[0, "pairs"] == 6
    assert table.loc[1, "pairs"] == 5


def test_unfinished_runs_count_only_where_none_is_finished() -> None:
    frame = make_frame()
    frame.loc[frame["seed"] == 0, "state"] = "stopped"
    means = condition_means(frame, ["layer"])
    assert set(means.table["seeds"]) == {5}
    assert any("left out" in line for line in means.conditions.notes)
    assert set(condition_means(frame[frame["seed"] == 0], ["layer"]).table["seeds"]) == {1}


def test_seeds_at_different_last_steps_are_one_mean() -> None:
    frame = make_frame().assign(state="stopped")
    frame.loc[frame["run"] == "n1-5", ["step", "tokens"]] = [9, 90]
    earlier = frame.assign(step=3, tokens=30, value=-99.0)
    means = last_means(pd.concat([earlier, frame]), ["layer"])
    table = means.table.set_index(["condition", "layer"])
    assert len(table) == 4
    assert table.loc[("n = 1", 0), ["step", "mean", "seeds"]].tolist() == [9, 2.5, 6]
    assert table.loc[("n = 2", 0), ["step", "mean", "seeds"]].tolist() == [5, 2.5, 6]
    assert means.conditions.notes == ("runs of a condition are at different last steps: n = 1 (5 to 9)",)


def test_tokens_at_a_step_are_those_of_the_condition() -> None:
    frame = make_frame()
    frame["tokens"] += 10 * frame["n_future"] * (frame["seed"] + 1)
    means = condition_means(frame, ["layer"])
    assert mean_at_steps(means, "tokens").tolist() == [85, 85, 120, 120]
    assert mean_at_steps(means, "step").tolist() == [5] * 4


def test_one_condition_has_no_differences() -> None:
    frame = make_frame()
    assert paired_differences(frame[frame["n_future"] == 1], ["layer"]).empty
