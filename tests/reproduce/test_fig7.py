import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import lab
from lab.config import SIZES, Experiment
from lab.reports.section import render_markdown
from lab.reproduce import fig7
from lab.reproduce.fig7.page import against_one, against_one_over_sizes, by_rates, own_rate_sections, tuning_sections
from lab.reproduce.fig7.plan import METRIC, RATE, sized
from lab.sweeping import Sweep
from lab.sweeping.spec.configurations import grid_experiments
from tests.helpers.runs import make_run

pytestmark = pytest.mark.process  # seconds each

BEST = {1: {"d32": 1.6e-2, "d48": 4e-3, "d64": 4e-3, "d96": 2e-3}, 2: {"d32": 4e-3, "d48": 4e-3, "d64": 4e-3, "d96": 2e-3}}
"""Rates that are best in the runs below, by n and size; they differ between n at the smallest size alone."""


def size_of(experiment: Experiment) -> str:
    return f"d{experiment.model.width}"


def curve(experiment: Experiment, best: float) -> Mapping[int, Mapping[str, float]]:
    """Return a curve that is best in the middle of training."""
    half = experiment.steps // 2
    values = {0: 0.0, half: best, experiment.steps: best - 0.1}
    return {step: {METRIC: value, "loss/second_again/1": 1 - value, "loss/all/1": 2.0} for step, value in values.items()}


def write_tuning_runs(folder: Path) -> list[lab.Run]:
    first, _ = fig7.STUDY.stages("laptop")
    runs = []
    for name, experiment in grid_experiments(first.largest).items():
        right = experiment.optimiser.peak_lr == BEST[experiment.n_future][size_of(experiment)]
        runs.append(
            make_run(folder / name, experiment, curve(experiment, 0.8 if right else 0.5 + 0.01 * (experiment.seed % 2)))
        )
    return runs


def main_sweep(runs: list[lab.Run]) -> Sweep:
    _, main = fig7.STUDY.stages("laptop")
    return main.plan(runs) if runs else main.largest


@pytest.fixture(scope="module")
def tuning(tmp_path_factory: pytest.TempPathFactory) -> list[lab.Run]:
    return write_tuning_runs(tmp_path_factory.mktemp("rates"))


@pytest.fixture(scope="module")
def planned(tuning: list[lab.Run]) -> dict[str, Experiment]:
    """Return the experiments of the main sweep by name, with the rates that the tuning runs chose."""
    return grid_experiments(main_sweep(tuning))


@pytest.fixture(scope="module")
def named(planned: dict[str, Experiment], tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Return the frame of the main sweep's runs, whose curves are all equal."""
    folder = tmp_path_factory.mktemp("runs")
    return sized([make_run(folder / name, experiment, curve(experiment, 0.5)) for name, experiment in planned.items()])


def raise_accuracy(named: pd.DataFrame, added: pd.Series) -> dict[int, pd.DataFrame]:
    """Add to the accuracies of a frame, and return its rows with the rates that each n chose."""
    return by_rates(named.assign(value=named["value"] + added.where(named["metric"] == METRIC, 0.0)), BEST)


@pytest.mark.parametrize("scale", ["laptop", "bracketed"])
def test_rates_are_tuned_on_validation_and_separate_seeds(scale: str) -> None:
    first, second = (stage.largest for stage in fig7.STUDY.stages(scale))
    assert {each.evaluation.split for each in grid_experiments(first).values()} == {"validation"}
    assert {each.evaluation.split for each in grid_experiments(second).values()} == {"test"}
    assert not set(first.seeds) & set(second.seeds)
    assert len(second.seeds) == 8


def test_the_series_share_all_but_rates_and_seeds() -> None:
    old_tuning, old = (stage.largest for stage in fig7.STUDY.stages("laptop"))
    tuning, new = (stage.largest for stage in fig7.STUDY.stages("bracketed"))
    assert (old_tuning.base, old.base) == (tuning.base, new.base)
    assert not {*old_tuning.seeds, *old.seeds} & {*tuning.seeds, *new.seeds}


def test_the_main_sweep_crosses_the_best_rates(planned: dict[str, Experiment]) -> None:
    configurations = {(size_of(each), each.n_future, each.optimiser.peak_lr) for each in planned.values()}
    wanted = {(size, n, BEST[tuner][size]) for size in BEST[1] for n in (1, 2) for tuner in (1, 2)}
    assert configurations == wanted
    assert len(planned) == len(wanted) * 8


def test_conditions_of_a_size_share_all_but_n(planned: dict[str, Experiment]) -> None:
    for name, one in planned.items():
        if one.n_future == 1:
            assert lab.override(one, {"n_future": 2}) == planned[name.replace("-n1-", "-n2-")]


def test_the_plan_of_the_main_sweep_is_an_upper_bound() -> None:
    assert len(main_sweep([]).configurations) == 4 * 2 * 2


def test_the_page_follows_from_the_runs(tuning: list[lab.Run], planned: dict[str, Experiment], tmp_path: Path) -> None:
    runs = []
    for name, experiment in planned.items():
        ahead = 0.2 * (experiment.n_future == 2) * (1 if size_of(experiment) == "d32" else -1)
        runs.append(make_run(tmp_path / name, experiment, curve(experiment, 0.6 + ahead + 0.001 * (experiment.seed % 3))))
    written = fig7.STUDY.report("laptop", [tuning, runs], tmp_path)
    assert {path.name for path in written} == {
        "fig7.png", "fig7.csv", "emergence.png", "emergence.csv", "rates.csv", "frame.csv.gz", "report.md"
    }  # fmt: skip
    page = (tmp_path / "report.md").read_text()
    assert "best for n = 1, n = 2 is better at d32 (+0.200); worse at d48 (-0.200), d64 (-0.200), d96 (-0.200)" in page
    assert "0.016 (an end of the range)" in page
    own = page.partition("each at its own best rate")[2]
    assert "| d32 | 0.016 | 0.004 | 8 | 0.2 |" in own
    assert "| d96 | 0.002 | 0.002 | 8 | -0.2 |" in own
    drawn = pd.read_csv(tmp_path / "fig7.csv")
    assert set(drawn["seeds"]) == {8}
    ends = drawn[(drawn["tuned_with"] == 1) & (drawn["condition"] == "n = 2")].sort_values("parameters")["mean"]
    assert ends.tolist() == pytest.approx([0.801, 0.401, 0.401, 0.401], abs=1e-3)


def test_an_expectation_comes_first_on_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scale = fig7.SCALES["bracketed"]
    assert scale.expectation
    few = replace(scale, sizes={name: scale.sizes[name] for name in ("d32", "d48")}, seeds=(210, 211), rates=scale.rates[:2])
    monkeypatch.setitem(fig7.SCALES, "bracketed", few)
    tuning, main = fig7.STUDY.stages("bracketed")
    first = [make_run(tmp_path / name, each, curve(each, 0.5)) for name, each in grid_experiments(tuning.largest).items()]
    second = [make_run(tmp_path / name, each, curve(each, 0.5)) for name, each in grid_experiments(main.plan(first)).items()]
    fig7.STUDY.report("bracketed", [first, second], tmp_path)
    begin = (tmp_path / "report.md").read_text().partition("## ")[2]
    assert begin.startswith(f"Expectation, written before the runs\n\n{scale.expectation}\n\n## In one line")


def test_the_page_names_rates_at_which_a_run_diverged() -> None:
    keys = {"size": ["d32"] * 4, "n_future": [1, 1, 2, 2], RATE: [1e-3, 2e-3] * 2}
    chances = pd.DataFrame({**keys, "mean": [0.5, math.nan, 0.25, 0.75]})
    choice, differences = tuning_sections(chances, {1: {"d32": 1e-3}, 2: {"d32": 2e-3}})
    assert "| d32 | 1 | 0.5 | diverged |" in render_markdown("", [choice])
    assert "| d32 | -0.25 | - |" in render_markdown("", [differences])


def test_sizes_are_compared_one_by_one_and_together(named: pd.DataFrame) -> None:
    chosen_by_1 = {1: raise_accuracy(named, 0.05 * named["n_future"])[1]}
    table = against_one(chosen_by_1, METRIC, "best")
    assert table["size"].tolist() == ["d32", "d48", "d64", "d96"]
    assert table["difference"].tolist() == pytest.approx([0.05] * 4)
    assert table["pairs"].tolist() == [8] * 4
    together = against_one_over_sizes(chosen_by_1, METRIC, "best")
    assert together[["difference", "pairs"]].to_numpy().tolist() == [[pytest.approx(0.05), 8]]


def test_shared_runs_are_one_comparison_of_one_family(named: pd.DataFrame) -> None:
    """The sizes d48, d64 and d96 have the same runs at both rates, and so one corrected p-value each."""
    table = against_one(raise_accuracy(named, 0.05 * named["n_future"]), METRIC, "best")
    assert table["rate chosen by"].tolist() == ["n = 2", "n = 1", *["n = 1 and n = 2"] * 3]
    assert table["p_holm"].tolist() == pytest.approx([5 * 2 / 2**8] * 5)


def test_each_n_is_compared_at_its_own_best_rate(named: pd.DataFrame) -> None:
    """At d32, where n = 2 chooses 4e-3 and n = 1 does not, runs at 4e-3 are better by 0.1; n makes no other difference."""
    better = (named["size"] == "d32") & (named["optimiser.peak_lr"] == BEST[2]["d32"])
    by_size, over_sizes = (section.table for section in own_rate_sections(raise_accuracy(named, 0.1 * better), BEST))
    assert by_size is not None
    assert by_size["difference"].tolist() == pytest.approx([0.1, 0, 0, 0])
    assert by_size[["rate, n = 1", "rate, n = 2"]].iloc[0].tolist() == ["0.016", "0.004"]
    assert over_sizes is not None
    assert over_sizes["difference"].tolist() == pytest.approx([0.025])


def test_the_papers_scale_has_the_papers_sizes_and_tunes_nothing() -> None:
    (only,) = fig7.STUDY.stages("paper")
    planned = list(grid_experiments(only.largest).values())
    assert [each.model.size for each in planned[:14:2]] == list(SIZES)
    assert {each.optimiser.peak_lr for each in planned} == {1e-4}
    assert {each.positions_per_step for each in planned} == {2**18}
    assert {each.steps for each in planned} == {100_000}
