"""The study of Fig 8: its plan, the rates, the level of the commonest answer, and tables that follow from a frame."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import lab
from lab.config import experiment
from lab.reproduce.atlas.plan import condition
from lab.reproduce.fig8 import page, plan
from lab.reproduce.fig8.figure import draw
from lab.reproduce.fig8.plan import LAPTOP, RATE, SCALES
from lab.stats.paired import ALPHA
from lab.sweeping.spec.configurations import grid_experiments
from tasks.polynomial.expressions import BINARY, operate
from tests.helpers.runs import make_run

ONE, TWO, FOUR = (condition(n, "parameters") for n in plan.COUNTS)
TWO_DEEP, FOUR_DEEP = (condition(n, "layers") for n in (2, 4))
COUNTS = {"rates-293k": 18, "heads": 40, "pause": 48, "rates-899k": 18, "sizes": 24}


def plan_stages(scale: str) -> dict[str, dict[str, lab.Experiment]]:
    names, stages = plan.stage_names(scale), plan.stages(scale)
    return {name: grid_experiments(stage.largest) for name, stage in zip(names, stages, strict=True)}


def test_every_part_has_its_conditions_and_seeds() -> None:
    found = plan_stages("laptop")
    assert {name: len(each) for name, each in found.items()} == COUNTS
    tuning = [each for name in found if name.startswith("rates") for each in found[name].values()]
    main = [each for name in plan.PARTS for each in found[name].values()]
    assert {each.evaluation.split for each in tuning} == {"validation"}
    assert {each.evaluation.split for each in main} == {"test"}
    assert {each.seed for each in tuning}.isdisjoint(each.seed for each in main)
    assert len({each.seed for each in main}) == 8
    assert {each.task.settings["pause"] for each in found["pause"].values()} == {5, 10}
    assert len({(each.batch_size, each.steps) for each in tuning + main}) == 1, "equal numbers of sequences"


def test_runs_of_a_part_differ_in_heads_matching_pauses_alone() -> None:
    for name in plan.PARTS:
        own = list(plan_stages("laptop")[name].values())
        for each in own:
            about = {"n_future": 1, "seed": own[0].seed, "model": own[0].model, "task": own[0].task}
            assert each.model_copy(update=about).fingerprint == own[0].fingerprint
            path = each.trunk_layers + 1
            assert path == 6 - (each.n_future - 1 if each.model.matched == plan.HEADLINE else 0)


def test_the_second_size_has_three_times_the_parameters() -> None:
    for scale, (low, high) in {"laptop": (2.9, 3.2), "paper": (2.9, 3.3)}.items():
        found = plan_stages(scale)
        counts = {name: {each.non_embedding_parameters for each in found[name].values()} for name in ("pause", "sizes")}
        assert [len(each) for each in counts.values()] == [1, 1], "equal parameters"
        assert low < counts["sizes"].pop() / counts["pause"].pop() < high


def test_scales_of_parts_share_their_runs_with_the_whole() -> None:
    whole = {stage.largest.name: stage.largest.identity for stage in plan.stages("laptop")}
    shared = set[str]()
    for scale in ("heads", "pause", "sizes"):
        own = {stage.largest.name: stage.largest.identity for stage in plan.stages(scale)}
        assert own.items() <= whole.items()
        shared |= own.keys()
    assert shared == whole.keys()
    assert plan.stage_names("sizes") == ["rates-293k", "heads", "rates-899k", "sizes"]


def test_the_paper_scale_has_its_settings() -> None:
    found = plan_stages("paper")
    assert {name: len(each) for name, each in found.items()} == {"heads": 6, "pause": 12, "sizes": 6}
    runs = [each for own in found.values() for each in own.values()]
    assert {(each.optimiser.peak_lr, each.steps, each.evaluation.examples) for each in runs} == {(1e-4, 100_000, 2000)}
    assert {each.model.matched for each in runs} == {"parameters"}
    assert {(each.task.settings["p"], each.task.settings["k"]) for each in runs} == {(7, 5)}
    assert {each.model.size for each in runs} == {"30M", "100M"}


def write_tuning_runs(folder: Path, name: str, best: Mapping[int, float]) -> list[lab.Run]:
    """Write the runs of a tuning stage in which the given rates have the best mean of each n."""
    runs = []
    for run, each in plan_stages("laptop")[name].items():
        value = 0.5 + 0.2 * (each.seed == 900 and each.optimiser.peak_lr == 2e-3)  # the best single run, not the best mean
        value += 0.15 * (each.optimiser.peak_lr == best[each.n_future])
        runs.append(make_run(folder / name / run, each, {0: {"exact": 0.9}, each.steps: {"exact": value}}))
    return runs


def test_each_n_and_size_gets_the_rate_with_the_best_mean(tmp_path: Path) -> None:
    best = {"rates-293k": {1: 1e-3, 2: 4e-3, 4: 4e-3}, "rates-899k": {1: 4e-3, 2: 1e-3, 4: 1e-3}}
    runs: list[lab.Run] = []
    for name, stage in zip(plan.stage_names("laptop"), plan.stages("laptop"), strict=True):
        if name in best:
            runs, wanted = write_tuning_runs(tmp_path, name, best[name]), best[name]
            continue
        rates = {(each.n_future, each.optimiser.peak_lr) for each in grid_experiments(stage.plan(runs)).values()}
        assert rates == set(wanted.items()), name
        runs = []


def value_distribution(p: int, k: int, most: int) -> list[NDArray[np.float64]]:
    """Return the exact distribution of the values of expressions of 0 to `most` operations, by the recurrence over roots."""
    count = p**k
    values = np.stack(np.unravel_index(np.arange(count), (p,) * k), axis=1)
    first, second = np.repeat(np.arange(count), count), np.tile(np.arange(count), count)
    weights = p ** np.arange(k)[::-1]
    results = [operate(np.full(len(first), root), values[first], values[second], p) @ weights for root in range(4)]
    found = [np.full(count, 1 / count)]
    for m in range(1, most + 1):
        binary = np.mean([np.outer(found[i], found[m - 1 - i]) for i in range(m)], axis=0)
        unary = np.outer(found[m - 1], np.full(count, 1 / count))
        operands = [binary if BINARY[root] else unary for root in range(4)]
        parts = [np.bincount(results[root], operands[root].ravel(), count) for root in range(4)]
        found.append(np.mean(parts, axis=0))
    return found


def test_the_commonest_answer_is_as_common_as_in_theory() -> None:
    settings: dict[str, Any] = {"task.test_operations": [4, 10], "task.operations": [1, 5], "evaluation.examples": 2000}
    found = plan.levels(experiment("polynomial", **settings)).set_index("m")
    exact = value_distribution(3, 2, 10)
    assert found.index.tolist() == list(range(4, 11))
    for m, row in found.iterrows():
        assert row["majority"] == pytest.approx(exact[int(str(m))].max(), abs=0.03)
    different = found["expressions"].tolist()
    assert different[0] < different[-1] == 2000


def test_the_frame_names_size_pauses_and_condition_of_each_run(tmp_path: Path) -> None:
    scale = replace(LAPTOP, base={**LAPTOP.base, "evaluation.examples": 50}, seeds=(680,))
    runs = []
    for run, each in grid_experiments(plan.part_sweep(scale, "pause", dict.fromkeys(plan.COUNTS, 1e-3))).items():
        value = each.n_future + each.task.settings["pause"] / 100
        curve = {"exact": 0.0, "accuracy/all/1": 0.0, **{f"m{m}:exact": value + m / 1000 for m in range(1, 11)}}
        runs.append(make_run(tmp_path / run, each, {each.steps: curve}))
    found = plan.named_frame(scale, "pause", runs)
    assert len(found) == 6 * 10
    assert set(found["size"]) == {"293k"}
    heads = found["condition"].map({ONE: 1, TWO: 2, FOUR: 4})
    assert found["value"].tolist() == pytest.approx((heads + found["pause"] / 100 + found["m"] / 1000).tolist())
    assert sorted(found.loc[found["in_domain"], "m"].unique()) == [1, 2, 3, 4, 5]
    assert found["run"].str.startswith("pause/").all()


def curve_of(value: float) -> dict[str, float]:
    return {"exact": value, "accuracy/all/1": value, **{f"m{m}:exact": value for m in range(1, 11)}}


@pytest.mark.parametrize(("scale", "tuned"), [("heads", True), ("paper", False)])
def test_a_page_has_the_expectation_of_its_scale_alone(
    scale: str, tuned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = {**SCALES[scale].base, "task.p": 3, "task.k": 2, "evaluation.examples": 50}
    monkeypatch.setattr(plan, "SCALES", {scale: replace(SCALES[scale], base=base, seeds=(0, 1))})
    monkeypatch.setattr(page, "SCALES", plan.SCALES)
    stages = [
        [make_run(tmp_path / name / run, each, {each.steps: curve_of(0.1 * each.n_future)}) for run, each in own.items()]
        for name, own in plan_stages(scale).items()
    ]
    page.report(scale, stages, tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert (plan.EXPECTATION.splitlines()[0] in text, (tmp_path / "rates.csv").exists()) == (tuned, tuned)
    assert "## Question" in text


Gains = Mapping[tuple[str, int, str], tuple[float, float]]
GAINS: Gains = {
    ("293k", 0, ONE): (0.0, 0.0),
    ("293k", 0, TWO): (0.05, 0.01),
    ("293k", 0, FOUR): (-0.05, 0.0),
    ("293k", 0, TWO_DEEP): (0.02, 0.0),
    ("293k", 5, ONE): (0.0, 0.0),
    ("293k", 5, TWO): (0.05, 0.01),
    ("293k", 10, ONE): (0.01, 0.0),
    ("293k", 10, TWO): (0.09, 0.01),
    ("899k", 0, ONE): (0.2, 0.02),
    ("899k", 0, TWO): (0.2, 0.12),
}
"""Gains over the first condition, in domain and out of domain."""


def frame_of(gains: Gains, seeds: int = 8) -> pd.DataFrame:
    """Build a frame of two evaluation points, in which a seed adds the same value to all conditions."""
    rows = [
        {"size": size, "pause": pause, "condition": name, "flops_per_step": 300 if size == "899k" else 100 + pause}
        | {"run": f"{size}-{pause}-{name}-{seed}", "seed": seed, "state": "finished", "step": step, "tokens": step, "m": m}
        | {"in_domain": m <= 5, "majority": 0.02 * m, "expressions": 100 * m, "metric": f"m{m}:exact"}
        | {"value": (0.3 + 0.03 * seed - 0.01 * m + gain[m > 5]) * (step == 10)}
        for (size, pause, name), gain in gains.items()
        for seed in range(seeds)
        for step in (0, 10)
        for m in range(1, 11)
    ]
    return pd.DataFrame(rows)


def test_tables_state_the_known_gains_of_a_made_up_frame() -> None:
    ends = page.ends_of(frame_of(GAINS))
    table = page.accuracy_table(ends).set_index(page.GROUP)
    rows = table.to_dict("index")
    assert rows["293k", 0, TWO]["in domain"].startswith(f"{0.3 + 0.105 - 0.03 + 0.05:.3f} [")
    assert rows["293k", 0, TWO]["out of domain"].startswith(f"{0.3 + 0.105 - 0.08 + 0.01:.3f} [")
    assert table["FLOPs of a step"].tolist() == ["1.00"] * 4 + ["1.05"] * 2 + ["1.10"] * 2 + ["3.00"] * 2 + ["-"] * 3
    level = rows["-", 10, "commonest answer"]
    assert (level["in domain"], level["out of domain"]) == ("0.060", "0.160")
    values = page.domain_values(ends)
    gains = page.gain_table(values[values["size"] == "293k"]).set_index(["condition", "domain", "pause"])["difference"]
    assert gains.to_dict() == pytest.approx(
        {(TWO, "in domain", 5): 0, (TWO, "in domain", 10): 0.03, (TWO, "out of domain", 5): 0, (TWO, "out of domain", 10): 0}
    )
    sizes = page.size_table(values[values["pause"] == 0], "899k").set_index(["domain", "model"]).sort_index()
    assert sizes["difference"].to_dict() == pytest.approx(
        {("in domain", f"293k, {name}"): gain for name, gain in ((ONE, -0.2), (TWO, -0.15), (FOUR, -0.25))}
        | {("out of domain", f"293k, {name}"): gain for name, gain in ((ONE, -0.02), (TWO, -0.01), (FOUR, -0.02))}
        | {("in domain", f"899k, {TWO}"): 0, ("out of domain", f"899k, {TWO}"): 0.1}
    )
    assert sizes.loc[("in domain", f"293k, {ONE}"), "p_holm"] == pytest.approx(8 * 2 / 2**8)
    by_m = page.operations_table(ends[ends["size"] == "293k"]).set_index("m").to_dict("index")
    assert [by_m[6][name] for name in ("in training", "commonest answer", TWO)] == ["no", "0.120", "0.355"]
    assert by_m[5]["in training"] == "yes"


def test_the_page_compares_with_one_head_in_each_domain() -> None:
    rates = pd.DataFrame(
        {"size": "293k", "n_future": n, RATE: rate, "seed": seed, "value": rate * n}
        for n in plan.COUNTS
        for rate in LAPTOP.rates
        for seed in (900, 901)
    )
    sections = {section.title: section.table for section in page.sections_of(frame_of(GAINS), rates)}
    table = sections[f"Against {ONE}, without pause tokens"]
    assert table is not None
    found = table.set_index(["domain", "condition"]).sort_index()
    assert found.loc[("in domain", FOUR), "difference"] == pytest.approx(-0.05)
    assert found.loc[("out of domain", TWO), "difference"] == pytest.approx(0.01)
    assert found["pairs"].tolist() == [8] * 6
    paused = sections[f"Against {ONE}, with pause tokens"]
    assert paused is not None
    assert set(paused["pause"]) == {5, 10}
    assert page.rate_table(rates)["chosen"].tolist() == ["0.004"] * 3
    alone = page.sections_of(frame_of({key: gain for key, gain in GAINS.items() if key[:2] == ("293k", 0)}), None)
    assert len(sections) - len(alone) == 4, "no pauses, no sizes, no rates"


def test_eight_seeds_can_find_every_comparison() -> None:
    conditions = {
        "heads": [(0, name) for name in (ONE, TWO, FOUR, TWO_DEEP, FOUR_DEEP)],
        "pause": [(pause, name) for pause in (5, 10) for name in (ONE, TWO, FOUR)],
        "sizes": [(0, name) for name in (ONE, TWO, FOUR)],
    }
    assert {name: 8 * len(each) for name, each in conditions.items()} == {name: COUNTS[name] for name in conditions}
    sizes = {"heads": "293k", "pause": "293k", "sizes": "899k"}
    gains = {(sizes[part], *each): (0.0, 0.0) for part, own in conditions.items() for each in own}
    sections = page.sections_of(frame_of(gains), None)
    least = [section.table["p_least"] for section in sections if section.table is not None and "p_least" in section.table]
    assert len(least) == 4
    assert pd.concat(least).max() <= ALPHA


PANELS = ["293k, no", "293k, no", "293k, 5", "293k, 10", "899k, no"]


def test_the_figure_has_a_panel_for_each_pause_matching_and_size() -> None:
    figure, numbers = draw(page.ends_of(frame_of(GAINS)))
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert [title.split("\n")[1] for title in titles] == ["equal parameters", "equal depth", *["equal parameters"] * 3]
    assert [title.split(" pause")[0].replace(" parameters", "") for title in titles] == PANELS
    for axes in figure.axes[:5]:
        border, *_ = [x for x in (np.asarray(line.get_xdata(), float) for line in axes.lines) if len(np.unique(x)) == 1]
        assert border[0] == 5.5
        (level,) = [line for line in axes.lines if line.get_label() == "commonest answer"]
        assert np.asarray(level.get_ydata(), float) == pytest.approx([0.02 * m for m in range(1, 11)])
        assert len(axes.collections) == len([line for line in axes.lines if str(line.get_label()).startswith("n = ")]), "bands"
    assert (figure.axes[0].get_xlabel(), figure.axes[4].get_xlabel()) == ("", "m, operations")
    row = numbers[
        (numbers["panel"] == "293k parameters, 10 pause tokens, equal parameters") & (numbers["n"] == 2) & (numbers["m"] == 3)
    ]
    assert row["mean"].item() == pytest.approx(0.3 + 0.105 - 0.03 + 0.09)
    assert row["low"].item() < row["mean"].item() < row["high"].item()


def test_few_seeds_have_no_band() -> None:
    figure, numbers = draw(page.ends_of(frame_of(GAINS, seeds=2)))
    assert numbers["low"].isna().all()
    assert not figure.axes[0].collections


def test_the_expectation_names_both_domains_of_the_plan() -> None:
    low, high = SCALES["laptop"].base["task.operations"]
    assert f"in domain ({low} to {high} operations)" in plan.EXPECTATION
    assert f"out of domain ({high + 1} to {SCALES['laptop'].base['task.test_operations'][1]})" in plan.EXPECTATION
