import numpy as np
import pandas as pd
import pytest

from lab.errors import LabError
from lab.stats.bootstrap import bootstrap_interval
from lab.stats.configurations import comparison_table, configuration_table, run_values, seed_table
from lab.stats.paired import paired_comparison


def frame(seeds: int = 4) -> pd.DataFrame:
    """Return a frame of two sizes and n = 1, 2; the second of three evaluations is the best, and n = 2 has better values."""
    rows = []
    for size in ("1M", "3M"):
        for n in (1, 2):
            for seed in range(seeds):
                level = 0.5 + (n - 1) * (0.05 + 0.01 * seed) + 0.1 * (size == "3M") + 0.02 * seed
                for step, extra in ((0, -0.3), (10, 0.05), (20, 0.0)):
                    for metric, value in (("accuracy/copy/1", level + extra), ("far:loss/copy/1", 1 - level - extra)):
                        rows.append((f"{size}-n{n}-s{seed}", size, n, seed, step, 100 * step, metric, value))
    return pd.DataFrame(rows, columns=["run", "model.size", "n_future", "seed", "step", "tokens", "metric", "value"])


def test_the_last_or_the_best_evaluation_of_each_run_is_taken() -> None:
    last = run_values(frame(), "accuracy/copy/1")
    best = run_values(frame(), "accuracy/copy/1", "best")
    assert len(last) == len(best) == 16
    assert set(last["step"]) == {20}
    assert set(best["step"]) == {10}


def test_repeated_seeds_of_a_configuration_are_rejected() -> None:
    with pytest.raises(LabError, match=r"runs with n = 1 differ in model\.size"):
        comparison_table(run_values(frame(), "accuracy/copy/1"))


def test_the_best_loss_is_the_smallest() -> None:
    best = run_values(frame(), "far:loss/copy/1", "best")
    assert set(best["step"]) == {10}


def test_a_configuration_has_mean_interval_and_seeds() -> None:
    values = run_values(frame(seeds=6), "accuracy/copy/1")
    table = configuration_table(values, ["model.size", "n_future"])
    assert len(table) == 4
    row = table[(table["model.size"] == "3M") & (table["n_future"] == 2)].iloc[0]
    raw = values[(values["model.size"] == "3M") & (values["n_future"] == 2)]["value"]
    interval = bootstrap_interval(raw)
    assert row[["mean", "low", "high", "seeds"]].tolist() == pytest.approx([interval.mean, interval.low, interval.high, 6])


def test_conditions_are_compared_on_common_seeds() -> None:
    values = run_values(frame(), "accuracy/copy/1").sample(frac=1, random_state=0)
    values = values[~((values["seed"] == 3) & (values["n_future"] == 2) & (values["model.size"] == "1M"))]
    table = comparison_table(values, within=["model.size"])
    small, large = (table[table["model.size"] == size].iloc[0] for size in ("1M", "3M"))
    assert (small["pairs"], large["pairs"]) == (3, 4)
    assert small["difference"] == pytest.approx(np.mean([0.05, 0.06, 0.07]))
    expected = paired_comparison(np.zeros(4), np.array([0.05, 0.06, 0.07, 0.08]))
    assert large["p_value"] == pytest.approx(expected.p_value)
    assert large["p_holm"] == pytest.approx(2 * expected.p_value)
    assert (small["p_least"], large["p_least"]) == pytest.approx((0.25, 0.25)), "1/4 with three pairs, 2/8 with four"
    assert not table["found"].any()


def test_found_means_that_holm_is_at_most_a_tenth() -> None:
    table = comparison_table(run_values(frame(seeds=6), "accuracy/copy/1"), within=["model.size"])
    assert table["p_holm"].tolist() == table["p_least"].tolist() == pytest.approx([4 / 64] * 2)
    assert table["found"].all()
    three = pd.concat([run_values(frame(seeds=6), "accuracy/copy/1").assign(part=part) for part in range(3)])
    assert not comparison_table(three, within=["part", "model.size"])["found"].any(), "the same p-values in a family of six"


def test_few_seeds_are_listed_with_their_mean() -> None:
    values = pd.DataFrame({"rate": [1, 1, 2, 2], "seed": [1, 0, 0, 1], "value": [0.25, 0.75, 0.5, 1 / 3]})
    assert seed_table(values, ["rate"]).to_numpy().tolist() == [[1, 0.5, "0.75 0.25"], [2, pytest.approx(5 / 12), "0.5 0.3333"]]


def test_conditions_without_a_common_seed_are_left_out() -> None:
    values = run_values(frame(), "accuracy/copy/1")
    unpaired = values[(values["seed"] < 2) == (values["n_future"] == 1)]
    assert comparison_table(unpaired, within=["model.size"]).empty
