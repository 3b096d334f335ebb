"""Tables of compared conditions agree with sums over all sign flips and permutations, written out with numpy."""

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lab.errors import LabError
from lab.stats.compared import compare_ends, compare_times
from tests.helpers.frames import synthetic_frame

METRIC, LOSS = "accuracy/copy/1", "loss/all/1"
GRID = [{"n_future": n, "model.width": width} for n in (1, 2, 4) for width in (32, 64)]
RNG = np.random.default_rng(3)
LEVELS = {
    (n, width): 0.4 + 0.1 * (width == 64) + 0.06 * (n == 2) - 0.02 * (n == 4) + 0.05 * RNG.normal(size=6)
    for n in (1, 2, 4)
    for width in (32, 64)
}
"""End value of each seed of each configuration."""


def curve(configuration: Mapping[str, Any], seed: int, step: int) -> dict[str, float]:
    level = LEVELS[configuration["n_future"], configuration["model.width"]][seed]
    return {METRIC: level * step / 100, LOSS: 3 - level * step / 100}


def grid(seeds: int = 6, **options: Any) -> pd.DataFrame:
    return synthetic_frame(GRID, curve, seeds=seeds, **options)


def sign_flip_p(differences: np.ndarray) -> float:
    """Compute the share of sign assignments whose mean is at least as far from 0."""
    flipped = [abs(np.mean(np.multiply(signs, differences))) for signs in itertools.product((1, -1), repeat=len(differences))]
    return float(np.mean(np.array(flipped) >= abs(differences.mean()) - 1e-12))


def holm_by_hand(p_values: list[float]) -> list[float]:
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = {index: (len(p_values) - rank) * p_values[index] for rank, index in enumerate(order)}
    return [min(1.0, max(adjusted[other] for other in order[: order.index(index) + 1])) for index in range(len(p_values))]


def test_a_table_of_ends_agrees_with_numpy() -> None:
    found = compare_ends(grid().sample(frac=1, random_state=0), METRIC, ["n_future"], within=["model.width"])
    table = found.table
    assert found.baseline == "n = 1"
    assert found.notes == ()
    assert [tuple(row) for row in table[["model.width", "n_future", "within", "condition", "against"]].to_numpy()] == [
        (width, n, f"width = {width}", f"n = {n}", "n = 1" if n > 1 else "") for width in (32, 64) for n in (1, 2, 4)
    ]
    means = [LEVELS[n, width].mean() for width in (32, 64) for n in (1, 2, 4)]
    assert table["mean"].tolist() == pytest.approx(means)
    assert table["runs"].tolist() == [6] * 6
    differences = [LEVELS[n, width] - LEVELS[1, width] for width in (32, 64) for n in (2, 4)]
    compared = table[table["against"] != ""]
    assert compared["difference"].tolist() == pytest.approx([each.mean() for each in differences])
    p_values = [sign_flip_p(each) for each in differences]
    assert len({round(each, 6) for each in p_values}) > 2, "otherwise the test cannot see the order of Holm"
    assert compared["p_value"].tolist() == pytest.approx(p_values)
    assert compared["p_holm"].tolist() == pytest.approx(holm_by_hand(p_values))
    assert compared["p_least"].tolist() == pytest.approx([4 * 2 / 2**6] * 4), "four comparisons of six pairs"
    assert compared["found"].tolist() == [each <= 0.1 for each in holm_by_hand(p_values)]
    assert compared["pairs"].tolist() == [6] * 4
    assert table.loc[table["against"] == "", ["pairs", "difference", "p_value", "found"]].isna().all(axis=None)
    for column, low, high in (("mean", "mean_low", "mean_high"), ("difference", "low", "high")):
        assert (compared[low] < compared[column]).all()
        assert (compared[column] < compared[high]).all()


def test_intervals_have_the_width_of_a_t_interval() -> None:
    """For nearly normal values the expanded percentile bootstrap is nearly the t interval: 2.015 standard errors for six."""
    table = compare_ends(grid(), METRIC, ["n_future"], within=["model.width"]).table
    for row in table.to_dict("records"):
        values = LEVELS[row["n_future"], row["model.width"]]
        half = 2.015 * values.std(ddof=1) / math.sqrt(6)
        assert row["mean_high"] - row["mean_low"] == pytest.approx(2 * half, rel=0.15)
        if row["against"]:
            differences = values - LEVELS[1, row["model.width"]]
            assert row["high"] - row["low"] == pytest.approx(2 * 2.015 * differences.std(ddof=1) / math.sqrt(6), rel=0.15)


def test_few_seeds_have_no_interval() -> None:
    found = compare_ends(grid(seeds=3), LOSS, ["n_future"], within=["model.width"], baseline=2)
    assert found.baseline == "n = 2"
    assert found.table[["mean_low", "mean_high", "low", "high"]].isna().all(axis=None)
    row = found.table[(found.table["n_future"] == 1) & (found.table["model.width"] == 64)].iloc[0]
    assert row["difference"] == pytest.approx((LEVELS[2, 64] - LEVELS[1, 64])[:3].mean()), "a loss is 3 - level"
    assert compare_ends(grid(), METRIC, ["n_future"], within=["model.width"], baseline="n = 4").baseline == "n = 4"


def test_the_one_setting_that_varies_is_compared() -> None:
    frame = grid()
    small = frame[frame["model.width"] == 32]
    assert compare_ends(small, METRIC).by == ("n_future",)
    assert compare_ends(frame, METRIC, within=["model.width"]).by == ("n_future",)
    assert compare_ends(frame[frame["n_future"] == 2], METRIC).table["condition"].tolist() == ["width = 32", "width = 64"]
    tied = small.assign(**{"optimiser.peak_lr": small["n_future"] / 1000})
    assert compare_ends(tied, METRIC).notes == ("optimiser.peak_lr changes with the condition",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"the runs differ in n_future, model\.width: choose the one to compare by"),
        ({"by": ["n_future"]}, r"runs with n = 1 differ in model\.width and not in the seed alone"),
        ({"by": ["n_futur"]}, "the runs do not differ in 'n_futur'; did you mean 'n_future'"),
        ({"by": ["seed"]}, "seed is no setting to compare"),
        ({"by": ["n_future"], "within": ["run"]}, "run is no setting to compare"),
        ({"by": ["n_future"], "within": ["n_future"]}, "n_future cannot both distinguish conditions"),
        ({"by": ["n_future"], "within": ["model.width"], "baseline": 3}, "no condition is the baseline '3'"),
        ({"within": ["n_future", "model.width"]}, r"differ in n_future and model\.width and the seed alone"),
    ],
    ids=str,
)
def test_nothing_is_pooled_or_compared_silently(options: dict[str, Any], message: str) -> None:
    with pytest.raises(LabError, match=message):
        compare_ends(grid(), METRIC, **options)
    with pytest.raises(LabError, match=message):
        compare_times(grid(), METRIC, 0.3, **options)


def test_a_single_condition_or_configuration_is_rejected() -> None:
    frame = grid()
    one = frame[(frame["n_future"] == 1) & (frame["model.width"] == 32)]
    with pytest.raises(LabError, match="the runs differ in the seed alone"):
        compare_ends(one, METRIC)
    with pytest.raises(LabError, match="all runs that count have n = 1"):
        compare_ends(one, METRIC, ["n_future"])
    with pytest.raises(LabError, match="no run has a metric 'accuracy/cpy/1'"):
        compare_ends(frame, "accuracy/cpy/1", ["n_future"])


def test_runs_without_a_partner_are_counted() -> None:
    frame = grid()
    small = frame[frame["model.width"] == 32]
    missing = (small["n_future"] == 2) & (small["seed"] < 2)
    found = compare_ends(small[~missing], METRIC)
    row = found.table.set_index("n_future").loc[2]
    assert (row["runs"], row["pairs"]) == (4, 4)
    assert row["difference"] == pytest.approx((LEVELS[2, 32] - LEVELS[1, 32])[2:].mean())
    assert found.notes == (), "seeds 0 and 1 of n = 1 have partners with n = 4"
    unpaired = small[(small["n_future"] == 1) == (small["seed"] < 3)]
    with pytest.raises(LabError, match="no run has the seed of a run with n = 1"):
        compare_ends(unpaired, METRIC)
    part = compare_ends(small[~((small["n_future"] == 2) & (small["seed"] < 2)) & (small["n_future"] != 4)], METRIC)
    assert part.notes == ("2 runs without a partner of the same seed: in no difference",)


def test_unfinished_runs_do_not_count_in_values() -> None:
    frame = grid()
    frame = frame[frame["model.width"] == 32]
    frame = frame.assign(state=np.where(frame["run"] == "2-5", "stopped", "finished"))
    found = compare_ends(frame, METRIC)
    assert found.table.set_index("n_future").loc[2, "runs"] == 5
    assert found.notes[0] == "1 of 18 runs left out: 2-5 (stopped at step 100)"


TIMES = {1: [60, 80, 100, 120, 140, 160], 2: [20, 40, 40, 60, 80, 100]}
"""Step of emergence of each seed; it is not observed after step 120."""


def curve_of_times(configuration: Mapping[str, Any], seed: int, step: int) -> dict[str, float]:
    return {METRIC: float(step >= TIMES[configuration["n_future"]][seed])}


def test_a_table_of_times_agrees_with_numpy() -> None:
    """Runs have 120 steps and a point every 10; a threshold must hold at two points, so that 120 is not observed."""
    frame = synthetic_frame(
        [{"n_future": n} for n in (1, 2)], curve_of_times, seeds=6, steps=range(0, 121, 10), tokens_per_step=10
    )
    table = compare_times(frame, METRIC, 0.5).table.set_index("n_future")
    end = 1200
    seen = {n: np.array(times) < 120 for n, times in TIMES.items()}
    tokens = {n: np.minimum(10 * np.array(times), end) for n, times in TIMES.items()}
    assert table["emerged"].tolist() == [3, 6]
    assert table["share"].tolist() == [0.5, 1.0]
    assert table["median"].tolist() == [1000.0, 400.0], "half of the runs have emerged by the third time"
    limits = np.minimum(np.where(seen[1], np.inf, end), np.where(seen[2], np.inf, end))
    restricted = {n: np.minimum(tokens[n], limits) for n in tokens}
    assert table.loc[2, "later"] == pytest.approx(restricted[2].sum() / restricted[1].sum() - 1)
    assert table.loc[2, "p_paired"] == pytest.approx(sign_flip_p(restricted[2] - restricted[1]))
    assert table.loc[2, "p_log_rank"] == pytest.approx(log_rank_p(tokens, seen))
    assert table.loc[2, "p_log_rank_least"] == pytest.approx(2 / math.comb(12, 6))
    assert (table.loc[2, "pairs"], table.loc[2, "neither"]) == (6, 0)
    assert bool(table.loc[2, "found"]) == (table.loc[2, "p_log_rank_holm"] <= 0.1)


def test_times_are_relative_to_the_chosen_baseline() -> None:
    frame = synthetic_frame([{"n_future": n} for n in (1, 2)], curve_of_times, seeds=6, steps=range(0, 121, 10))
    usual, other = (compare_times(frame, METRIC, 0.5, baseline=n).table.set_index("n_future") for n in (1, 2))
    assert 1 + other.loc[1, "later"] == pytest.approx(1 / (1 + usual.loc[2, "later"]))
    assert other["against"].tolist() == ["n = 2", ""]
    assert other.loc[1, "p_log_rank"] == pytest.approx(usual.loc[2, "p_log_rank"])


def log_rank_p(tokens: dict[int, np.ndarray], seen: dict[int, np.ndarray]) -> float:
    """Compute the two-sided p-value over all permutations of the runs, twice the smaller tail, with a plain statistic."""
    times, events = np.concatenate([tokens[1], tokens[2]]), np.concatenate([seen[1], seen[2]])

    def statistic(chosen: np.ndarray) -> float:
        total = 0.0
        for time in np.unique(times[events]):
            risk, now = times >= time, (times == time) & events
            total += (now & chosen).sum() - now.sum() * (risk & chosen).sum() / risk.sum()
        return round(total, 9)

    permutations = [np.isin(np.arange(12), each) for each in itertools.combinations(range(12), 6)]
    permuted, own = np.array([statistic(each) for each in permutations]), statistic(np.arange(12) < 6)
    return float(min(1.0, 2 * min(np.mean(permuted <= own), np.mean(permuted >= own))))


def test_times_of_a_loss_or_of_early_ends_are_rejected() -> None:
    with pytest.raises(LabError, match="falls as a model learns"):
        compare_times(grid(), LOSS, 0.5, ["n_future"], within=["model.width"])
    frame = synthetic_frame([{"n_future": n} for n in (1, 2)], curve_of_times, seeds=6, steps=range(0, 121, 10))
    stopped = frame.assign(reached="accuracy 0.1", state="finished")
    with pytest.raises(LabError, match=r"ended once accuracy 0\.1"):
        compare_times(stopped, METRIC, 0.5)
    assert compare_ends(stopped, METRIC).notes == ("12 runs ended early (evaluation.stop), with the value of their own end",)


def test_notes_name_diverged_runs_and_lengths_that_differ() -> None:
    frame = synthetic_frame([{"n_future": n} for n in (1, 2)], curve_of_times, seeds=6, steps=range(0, 121, 10))
    frame = frame[(frame["n_future"] == 1) | (frame["step"] <= 90)]
    frame = frame.assign(state=np.where(frame["run"] == "1-0", "diverged", "finished"))
    found = compare_times(frame, METRIC, 0.5)
    assert found.table["emerged"].tolist() == [3, 4]
    assert found.notes == (
        "diverged, so that they never emerge: 1-0",
        "runs of some conditions are longer than those of others, and the log-rank test assumes that they are not",
    )


def test_runs_without_a_number_have_no_time() -> None:
    frame = grid().assign(state="finished")[lambda rows: rows["model.width"] == 32]
    lost = frame["n_future"] == 4
    frame.loc[lost, "value"] = math.nan
    found = compare_times(frame, METRIC, 0.1)
    assert found.table["condition"].tolist() == ["n = 1", "n = 2"]
    assert found.notes[0].startswith(f"6 of 18 runs left out, {METRIC} is never a number: ")
    diverged = compare_times(frame.assign(state=frame["state"].where(~lost, "diverged")), METRIC, 0.1)
    assert diverged.table["emerged"].tolist() == [6, 6, 0]
    with pytest.raises(LabError, match="18 of 18 runs left out"):
        compare_times(frame.assign(value=math.nan), METRIC, 0.1)


def test_an_infinite_end_is_left_out_and_named() -> None:
    frame = grid()[lambda rows: rows["model.width"] == 32]
    run = frame["run"].iloc[0]
    frame.loc[frame["run"] == run, "value"] = math.inf
    found = compare_ends(frame, LOSS)
    assert found.notes[0] == f"1 of 18 runs left out, {LOSS} is not a finite number: {run}"
    assert np.isfinite(found.table["mean"]).all()
