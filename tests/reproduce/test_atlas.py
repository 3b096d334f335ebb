"""The atlas: its plan, the effect of further heads, the rank correlation, and a page that follows from its frame."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy

from lab.config import experiment
from lab.metrics import Metric
from lab.reports.section import markdown_table, section_markdown
from lab.reproduce import PAGE, atlas, write_frame
from lab.reproduce.atlas import effects, page, plan
from lab.reproduce.atlas.figure import draw
from lab.reproduce.atlas.rule import RULE, SEEN
from lab.runs.names import headline
from lab.sweeping.spec.configurations import grid_experiments
from tests.helpers.runs import make_run

DEPTH_2, DEPTH_4 = plan.condition(2, "layers"), plan.condition(4, "layers")
PARAMETERS_2, PARAMETERS_4 = plan.condition(2, "parameters"), plan.condition(4, "parameters")


@pytest.fixture(autouse=True, scope="module")
def few_resamples() -> Iterator[None]:
    """Draw fewer resamples than for a page: intervals are known here, or compared loosely."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(effects, "RESAMPLES", 400)
        yield


@pytest.mark.parametrize("task", RULE)
def test_conditions_of_a_task_differ_in_heads_and_matching_alone(task: str) -> None:
    planned = list(grid_experiments(plan.sweep_of(task)).values())
    assert len(planned) == len(plan.conditions_of(task)) * len(plan.SEEDS)
    base, preset = planned[0], experiment(task)
    for each in planned:
        same = each.model_copy(update={"n_future": 1, "seed": base.seed, "model": base.model})
        assert same.fingerprint == base.fingerprint
        path = each.trunk_layers + 1  # the next-token path: the trunk and head 1
        fewer = each.n_future - 1 if each.model.matched == "parameters" else 0
        assert path == plan.SHARED["model.layers"] - fewer
        if each.model.matched == "parameters":
            assert each.non_embedding_parameters == base.non_embedding_parameters
    assert preset.model.layers <= base.model.layers
    assert (base.optimiser, base.batch_size) == (preset.optimiser, preset.batch_size)
    assert base.steps == plan.STEPS.get(task, preset.steps) <= preset.steps


def test_each_task_is_a_scale_that_shares_its_runs_with_all() -> None:
    every = [stage.largest for stage in plan.stages("laptop")]
    assert [sweep.name for sweep in every] == [f"atlas-{task}" for task in RULE]
    for task, sweep in zip(RULE, every, strict=True):
        (own,) = plan.stages(task)
        assert own.largest.identity == sweep.identity
        (direction,) = sweep.metrics.values()
        assert (direction == "minimise") == Metric.parse(headline(experiment(task))).lower_is_better


def frame_of(
    task: str, curves: Mapping[str, Iterable[float]], shift: Mapping[str, Iterable[float]] | None = None, metric: str = ""
) -> pd.DataFrame:
    """Build a task's frame of eight seeds from the curve of each condition; a shift adds to the last point of each seed."""
    rows: list[dict[str, Any]] = []
    for name, curve in curves.items():
        added = list((shift or {}).get(name, [0.0] * 8))
        for seed, extra in enumerate(added):
            values = list(curve)
            values[-1] += extra
            about = {"task": task, "condition": name, "cost": 1.0, "run": f"{name}-{seed}", "seed": seed, "state": "finished"}
            rows += [
                about
                | {"step": 10 * point, "tokens": 1000 * point, "metric": metric or headline(experiment(task)), "value": value}
                for point, value in enumerate(values)
            ]
    return pd.DataFrame(rows)


def test_area_runs_from_the_start_to_the_best_end() -> None:
    own = frame_of("recall", {plan.ONE: [0.1, 0.1, 0.5], DEPTH_2: [0.1, 0.9, 0.9], PARAMETERS_2: [0.1, 0.1, 0.1]})
    assert effects.learnt_range(own) == pytest.approx((0.1, 0.9))
    areas = effects.curve_areas(own).groupby("condition")["value"]
    expected = {plan.ONE: 0.125, DEPTH_2: 0.75, PARAMETERS_2: 0.0}
    assert areas.min().to_dict() == pytest.approx(expected, abs=1e-12)
    assert areas.max().to_dict() == pytest.approx(expected, abs=1e-12)


def test_area_is_over_tokens_and_not_over_points() -> None:
    own = frame_of("recall", {plan.ONE: [0.0, 0.0, 0.0, 1.0], DEPTH_2: [0.0, 1.0, 1.0, 1.0]})
    own = own[own["step"] != 20]  # points at 0, 1000 and 3000 tokens
    areas = effects.curve_areas(own).groupby("condition")["value"].first()
    assert areas.to_dict() == pytest.approx({plan.ONE: 1 / 3, DEPTH_2: 2.5 / 3})


def test_a_lower_divergence_counts_as_more_learnt() -> None:
    curves = {plan.ONE: [0.3, 0.3, 0.2], DEPTH_2: [0.3, 0.1, 0.1]}
    own = frame_of("markov", curves)
    assert effects.learnt_range(own) == pytest.approx((0.3, 0.1))
    (row,) = effects.effect_table(own).to_dict("records")
    assert row["difference"] == pytest.approx(0.75 - 0.125)
    mirrored = frame_of("recall", {name: [0.4 - value for value in curve] for name, curve in curves.items()})
    assert effects.effect_table(mirrored)["difference"].tolist() == pytest.approx([row["difference"]])
    assert list(page.condition_table(own)) == ["condition", "FLOPs of a step", "at the end", "each seed"]


def test_effects_are_paired_by_seed_and_corrected_within_a_task() -> None:
    level, noise = [0.0, 0.5, 1.0], np.linspace(0, 0.7, 8)
    ends = {plan.ONE: noise, DEPTH_2: noise + 0.04, PARAMETERS_2: noise, DEPTH_4: noise - 0.04, PARAMETERS_4: noise}
    own = frame_of("recall", dict.fromkeys(ends, level), ends)
    table = effects.effect_table(own)
    assert table["condition"].tolist() == list(plan.COMPARED)
    best = 1 + noise.mean() + 0.04
    assert table["difference"].tolist() == pytest.approx([0.01 / best, -0.01 / best, 0, 0], abs=1e-9)
    assert table["p_holm"].tolist() == pytest.approx([4 * 2 / 2**8, 4 * 2 / 2**8, 1, 1])
    assert table["found"].tolist() == [True, True, False, False]


def test_a_task_that_no_condition_learns_has_no_effect() -> None:
    flat = frame_of("recall", {plan.ONE: [0.1, 0.1, 0.1], DEPTH_2: [0.1, 0.1, 0.05]})
    assert effects.learnt_range(flat) is None
    (row,) = effects.effect_table(flat).to_dict("records")
    assert np.isnan(row["difference"])
    assert not row["found"]
    assert page.verdict_table(effects.effects_of(flat)).empty, "what cannot be measured confirms no prediction"
    sections = page.sections_of(flat)
    assert "counted nowhere" in sections[-2].text
    assert not any(section.title == "Tasks by prediction and finding" for section in sections)


def test_diverged_runs_are_left_out_with_their_pairs() -> None:
    own = frame_of("recall", {plan.ONE: [0.1, 0.1, 0.5], DEPTH_2: [0.1, 0.9, 0.9]})
    own.loc[own["run"] == f"{DEPTH_2}-3", "state"] = "diverged"
    assert effects.effect_table(own)["pairs"].tolist() == [7]


def test_somers_d_agrees_with_scipy_with_ties_too() -> None:
    rng = np.random.default_rng(1)
    scores, found = rng.integers(-1, 3, (20, 9)).astype(float), rng.integers(0, 5, (20, 9)).astype(float)
    expected = [scipy.stats.somersd(x, y).statistic for x, y in zip(scores, found, strict=True)]
    assert effects.somers_d(scores, found) == pytest.approx(expected)


def test_correlation_counts_pairs_of_different_scores() -> None:
    exact = effects.correlate([1, 0, 0, -1], [np.full(8, value) for value in (0.3, 0.2, 0.1, 0.0)])
    assert (exact.ordered, exact.pairs, exact.somers_d, exact.low, exact.high) == (5, 5, 1, 1, 1)
    assert exact.tau_b == pytest.approx(5 / np.sqrt(5 * 6))
    reversed_ = effects.correlate([1, 0, 0, -1], [np.full(8, value) for value in (0.0, 0.2, 0.1, 0.3)])
    assert (reversed_.ordered, reversed_.somers_d) == (0, -1)


def test_interval_grows_with_noise_of_seeds_and_with_fewer_tasks() -> None:
    scores, means = [1, 1, 0, 0, -1, -1], np.array([0.3, 0.25, 0.2, 0.15, 0.1, 0.05])
    quiet = effects.correlate(scores, [np.full(8, mean) for mean in means])
    noise = np.array([-1, 1, -1, 1, -1, 1, -1, 1]) * 0.5
    noisy = effects.correlate(scores, [mean + noise for mean in means])
    assert quiet.somers_d == noisy.somers_d == 1
    assert (quiet.low, quiet.high) == (1, 1)
    assert noisy.low < 0.5
    mixed = np.array([0.3, 0.05, 0.2, 0.15, 0.1, 0.25])
    few, many = (effects.correlate(scores * k, [np.full(8, mean) for mean in np.tile(mixed, k)]) for k in (1, 2))
    assert few.somers_d == pytest.approx(many.somers_d)
    assert few.high - few.low > 1.15 * (many.high - many.low)


def test_equal_scores_have_no_rank_correlation() -> None:
    with pytest.raises(ValueError, match="no order"):
        effects.correlate([0, 0], [np.zeros(8), np.ones(8)])


@pytest.fixture(scope="module")
def known_frame() -> pd.DataFrame:
    """Build an atlas in which n = 2 at equal depth follows the rule, and n = 2 at equal parameters the opposite."""
    frames = []
    for task, applied in RULE.items():
        sign = -1 if Metric.parse(headline(experiment(task))).lower_is_better else 1
        gains = {plan.ONE: 0.0, DEPTH_2: 0.1 * applied.score, PARAMETERS_2: -0.1 * applied.score}
        curves = {name: [0.0, sign * (0.5 + gain), sign] for name, gain in gains.items()}
        frames.append(frame_of(task, curves))
    return pd.concat(frames, ignore_index=True)


Effects = tuple[pd.DataFrame, dict[tuple[str, str], effects.Correlation]]


@pytest.fixture(scope="module")
def known_effects(known_frame: pd.DataFrame) -> Effects:
    return effects.effects_of(known_frame), effects.correlations(known_frame)


def test_tables_state_the_known_effects_of_a_made_up_frame(known_effects: Effects) -> None:
    table, found = known_effects
    assert table["task"].drop_duplicates().tolist()[:3] == ["star", "agreement", "discovery"]
    for task, own in table.set_index("condition").groupby("task"):
        assert own.loc[DEPTH_2, "difference"] == pytest.approx(0.05 * RULE[str(task)].score)
    assert {key: each.somers_d for key, each in found.items()} == {
        (name, group): sign for name, sign in ((DEPTH_2, 1), (PARAMETERS_2, -1)) for group in ("all", "not seen")
    }
    assert found[DEPTH_2, "not seen"].tasks == len(RULE) - len(SEEN)
    counts = [row for row in page.verdict_table(table).to_dict("records") if row["condition"] == DEPTH_2]
    assert [row["predicted"] for row in counts] == ["helps", "nothing", "hurts"]
    assert [row[f"found: {row['predicted']}"] for row in counts] == [row["tasks"] for row in counts]
    first = "| star | turn | 3 | 1 | 2 | yes | +0.100 [+0.100, +0.100] helps | - | -0.100 [-0.100, -0.100] hurts | - |"
    assert markdown_table(page.overview(table)).split("\n")[2] == first
    row = f"| {DEPTH_2} | {len(RULE) - len(SEEN)} (not seen) | 23 of 23 | +1.00 | +1.00 to +1.00 |"
    assert row in markdown_table(page.correlation_table(found))


def test_a_comparison_that_rests_on_one_task_is_left_out(known_frame: pd.DataFrame) -> None:
    kept = known_frame[known_frame["task"].isin(["recall", "bigram", "markov", "belief"])]  # scores 0, -1, -1, -1
    assert not effects.correlations(kept)


def test_figure_has_a_row_for_each_task_sorted_by_score(known_effects: Effects) -> None:
    drawn, numbers = draw(*known_effects)
    rows = [label.get_text() for label in drawn.axes[0].get_yticklabels()]
    assert rows == effects.tasks_of(numbers)
    assert [RULE[task].score for task in rows] == sorted((each.score for each in RULE.values()), reverse=True)
    assert len(numbers) == 2 * len(RULE)
    assert f"n = 2, {len(RULE) - len(SEEN)} not seen: D = +1.00" in drawn.axes[1].get_title(loc="left")


def test_parts_give_the_page_of_all_their_tasks(known_frame: pd.DataFrame, tmp_path: Path) -> None:
    names = effects.tasks_of(known_frame)[::4]
    parts = [tmp_path / name for name in names]
    for part in parts:
        part.mkdir()
        write_frame(known_frame[known_frame["task"] == part.name], part)
    assert atlas.STUDY.join is not None
    atlas.STUDY.join(parts, tmp_path / "joined")
    text = (tmp_path / "joined" / PAGE).read_text(encoding="utf-8")
    sections = page.sections_of(known_frame[known_frame["task"].isin(names)])
    assert any(section.title.startswith("Rank correlation") for section in sections)
    for section in sections:
        assert section_markdown(section) in text


def test_report_follows_from_the_runs_of_one_task(tmp_path: Path) -> None:
    runs = []
    for name, one in grid_experiments(plan.sweep_of("modular")).items():
        middle = 0.5 + 0.2 * (one.model.matched == "layers" and one.n_future == 2)
        values = {0: 0.0, one.steps // 2: middle, one.steps: 1.0}
        curve = {step: {headline(one): value, "loss/all/1": 2.0} for step, value in values.items()}
        runs.append(make_run(tmp_path / name, one, curve))
    written = atlas.STUDY.report("modular", [runs], tmp_path)
    assert [path.name for path in written] == ["atlas.png", "atlas.csv", "frame.csv.gz", "report.md"]
    text = (tmp_path / "report.md").read_text()
    for section in page.sections_of(pd.read_csv(tmp_path / "frame.csv.gz")):
        assert section_markdown(section) in text
    assert "+0.100 [+0.100, +0.100] helps | - | +0.000 [+0.000, +0.000] | -" in text
    equal = [one for one in grid_experiments(plan.sweep_of("modular")).values() if one.model.matched == "parameters"]
    plain, further = (next(each.flops_per_step for each in equal if each.n_future == n) for n in (1, 2))
    assert f"| {PARAMETERS_2} | {further / plain:.2f} |" in text
