import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import plots
from lab.errors import LabError
from lab.plots.pareto import pareto_front
from lab.stats.bootstrap import bootstrap_interval

METRIC = "accuracy/turn/1"


def frame(seeds: int = 4) -> pd.DataFrame:
    """Return a frame of two sizes and three conditions; at the small size n = 2 with the sum alone escapes chance."""
    rng = np.random.default_rng(0)
    rows = []
    conditions = [(1, "sum"), (2, "sum"), (2, "detached")]
    for (n, name), width, seed in itertools.product(conditions, (64, 128), range(seeds)):
        escapes = (n == 2 and name == "sum") or width == 128
        for step in range(0, 101, 10):
            value = 0.5 + 0.5 * (escapes and step >= 40 + 10 * (seed % 2)) + 0.01 * rng.random()
            run = f"{name}-n{n}-d{width}-s{seed}"
            # fmt: off
            rows.append((run, "star", n, seed, name, width, 12 * 5 * width**2 + n, step, 544 * step, METRIC, value))
            # fmt: on
    columns = ["run", "task", "n_future", "seed", "objective.name", "model.width", "parameters", "step", "tokens", "metric"]
    return pd.DataFrame(rows, columns=[*columns, "value"])


def test_size_has_an_interval_for_each_condition_and_size() -> None:
    tidy = frame(seeds=6)
    tidy = tidy[tidy["objective.name"] == "sum"]
    figure, table = plots.size(tidy, METRIC, lines={"chance": 0.5})
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "non-embedding parameters"
    assert [line.get_label() for line in axes.get_lines()[:2]] == ["n = 1", "n = 2"]
    row = table[(table["condition"] == "n = 2") & (table["parameters"] == table["parameters"].max())].iloc[0]
    last = tidy[(tidy["n_future"] == 2) & (tidy["model.width"] == 128) & (tidy["step"] == 100)]["value"]
    interval = bootstrap_interval(last)
    assert row[["mean", "low", "high", "seeds"]].tolist() == pytest.approx([interval.mean, interval.low, interval.high, 6])


def test_every_cell_of_the_grid_shows_mean_and_interval() -> None:
    figure, table = plots.grid(frame(seeds=6), METRIC, by=["n_future", "objective.name"])
    axes = figure.axes[0]
    assert len(axes.texts) == len(table) == 6
    assert all("[" in text.get_text() for text in axes.texts)
    assert "over 6 seeds" in figure.get_suptitle()


def test_cells_with_few_seeds_state_their_number() -> None:
    figure, _ = plots.grid(frame(seeds=6), METRIC)
    axes = figure.axes[0]
    assert all("seeds" not in text.get_text() for text in axes.texts)
    figure, _ = plots.grid(frame(seeds=2).query("`objective.name` == 'sum'"), METRIC)
    single = figure.axes[0]
    assert all("2 seeds" in text.get_text() and "[" not in text.get_text() for text in single.texts)


def test_the_colours_of_a_grid_hold_all_values() -> None:
    ranks = frame().assign(metric="effective_rank/trunk")
    ranks["value"] *= 20
    figure, table = plots.grid(ranks, "effective_rank/trunk")
    assert figure.axes[0].images[0].get_clim() == (table["mean"].min(), table["mean"].max())
    fractions = frame().assign(value=lambda rows: rows["value"].clip(upper=1))
    assert plots.grid(fractions, METRIC)[0].axes[0].images[0].get_clim() == (0, 1), "fractions have one scale"


def test_survival_curves_fall_to_the_share_that_never_emerged() -> None:
    tidy = frame()
    tidy = tidy[(tidy["model.width"] == 64) & (tidy["objective.name"] == "sum")]
    figure, table = plots.survival(tidy, METRIC, threshold=0.6)
    axes = figure.axes[0]
    ends = table.groupby("condition")["share"].last()
    assert ends["n = 1"] == 1.0
    assert ends["n = 2"] == 0.0
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["n = 1: 0 of 4 emerged", "n = 2: 4 of 4 emerged"]
    assert "log-rank p = " in figure.get_suptitle()


def test_a_run_that_goes_on_is_marked_on_its_curve() -> None:
    tidy = frame()
    tidy = tidy[(tidy["model.width"] == 64) & (tidy["objective.name"] == "sum") & (tidy["n_future"] == 2)]
    tidy = tidy[~tidy["run"].str.endswith("s0") | (tidy["step"] <= 20)]
    figure, _ = plots.survival(tidy, METRIC, threshold=0.6)
    (marks,) = [line for line in figure.axes[0].get_lines() if line.get_marker() == "|"]
    assert marks.get_xydata().tolist() == [[544 * 20, 1.0]], "where all were still on the plateau"


def test_the_pareto_figure_marks_the_front() -> None:
    figure, table = plots.pareto(frame(), METRIC)
    assert len(table) == 6
    assert table["front"].tolist() == pareto_front(table["parameters"].tolist(), table["mean"].tolist())
    front = table[table["front"]].sort_values("parameters")
    assert 1 < len(front) < 6
    (line,) = [line for line in figure.axes[0].get_lines() if line.get_label() == "Pareto front"]
    assert line.get_ydata().tolist() == front["mean"].tolist()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8))
def test_the_front_has_the_points_that_no_other_dominates(points: list[tuple[int, int]]) -> None:
    front = pareto_front([cost for cost, _ in points], [value for _, value in points])
    assert any(front)
    for (cost, value), kept in zip(points, front, strict=True):
        dominating = [(c, v) for c, v in points if (c < cost and v >= value) or (c <= cost and v > value)]
        assert kept == (not dominating)


@pytest.mark.parametrize("name", ["size", "grid", "survival", "pareto"])
def test_a_metric_that_no_run_has_is_rejected_with_the_nearest(name: str) -> None:
    with pytest.raises(LabError, match="did you mean 'accuracy/turn/1'"):
        plots.find_figure(name)(frame(), "accuracy/trun/1")


def test_a_lower_loss_is_better() -> None:
    tidy = frame().assign(metric="loss/turn/1")
    _, table = plots.pareto(tidy, "loss/turn/1")
    assert table.loc[table["mean"].idxmin(), "front"]
    assert not table.loc[table["mean"].idxmax(), "front"]


def test_a_cost_that_some_runs_lack_is_rejected() -> None:
    tidy = frame().assign(seconds=lambda rows: rows["step"].where(rows["n_future"] == 1) / 10.0)
    with pytest.raises(LabError, match="some runs have no seconds"):
        plots.pareto(tidy, METRIC, cost="seconds")
    figure, table = plots.pareto(tidy[tidy["n_future"] == 1], METRIC, cost="seconds")
    axes = figure.axes[0]
    assert axes.get_xlabel() == "wall time (seconds)"
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["width = 64", "width = 128"]
    assert len(table) == 2


@pytest.mark.parametrize("name", ["size", "grid", "pareto", "importance", "parallel"])
def test_a_run_that_ends_without_a_number_is_left_out_and_named(name: str) -> None:
    rates = [frame().assign(**{"optimiser.peak_lr": rate, "run": lambda rows, r=rate: rows["run"] + str(r)}) for rate in (1, 2)]
    tidy = pd.concat(rates, ignore_index=True)
    tidy.loc[(tidy["run"] == "sum-n1-d64-s01") & (tidy["step"] == 100), "value"] = np.nan
    _, table = plots.find_figure(name)(tidy, METRIC)
    assert table.attrs["notes"][-1] == "1 of 48 runs left out, accuracy/turn/1 is not a finite number: sum-n1-d64-s01"
    if name != "importance":
        assert sorted(table["seeds"].tolist())[0] == 3
        assert table["mean"].notna().all()
    with pytest.raises(LabError, match="48 of 48 runs left out, accuracy/turn/1 is not a finite number"):
        plots.find_figure(name)(tidy.assign(value=np.nan), METRIC)


def test_a_frame_without_sizes_is_rejected() -> None:
    with pytest.raises(LabError, match="the frame has no column parameters"):
        plots.grid(frame().drop(columns="parameters"), METRIC)
