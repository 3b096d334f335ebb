"""Studies that compare conditions: their plans; tables, figure and page that follow from the frame."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module

import pandas as pd
import pytest

from lab.reproduce import STUDIES
from lab.reproduce.comparison import comparison_study
from lab.reproduce.comparison.configuration import Comparison, Family, folder_name
from lab.reproduce.comparison.figure import draw
from lab.reproduce.comparison.page import sections_of
from lab.reproduce.comparison.plan import CONDITION, FAMILY, condition_of, sweep_of
from lab.reproduce.comparison.tables import end_table, escape_table, interaction_table, run_table, times_of
from lab.stats.times import time_table
from lab.sweeping.spec.configurations import grid_experiments

INF = float("inf")
MODULES = {name: import_module(entry.path.partition(":")[0]) for name, entry in STUDIES.items()}
COMPARISONS: dict[str, Comparison] = {
    name: module.COMPARISON
    for name, module in MODULES.items()
    if hasattr(module, "COMPARISON") and name not in ("fig9", "finetune")  # which plan their stages themselves
}


def family_of(escaped: float | None, conditions: Sequence[str] = ("a", "n = 2, b", "3")) -> Family:
    """Build a family of conditions of induction that differ in their rate."""
    return Family(
        settings={"task": "induction", "steps": 20},
        conditions={name: {"optimiser.peak_lr": 1e-3 * (1 + number)} for number, name in enumerate(conditions)},
        metric="accuracy/copy/1",
        label="copying accuracy",
        escaped=escaped,
        solved=None if escaped is None else 0.9,
    )


SMALL = Comparison(
    name="small",
    title="Small",
    question="?",
    expectation="!",
    limits=".",
    families={"plateau": family_of(0.6), "none": family_of(None)},
    seeds=range(3, 8),
)


def frame_of(times: Mapping[str, Sequence[float]], cost: Mapping[str, float]) -> pd.DataFrame:
    """Build the frame of a family whose runs solve the task from given tokens on, inf for never."""
    return pd.DataFrame(
        {"task": "induction", FAMILY: "plateau", CONDITION: name, "cost": cost.get(name, 1.0), "run": f"{name}-{seed}"}
        | {"seed": seed, "state": "finished", "reached": "", "step": tokens // 100, "tokens": tokens}
        | {"metric": "accuracy/copy/1", "value": 0.97 if tokens >= time else 0.1 + seed / 100}
        for name, each in times.items()
        for seed, time in enumerate(each)
        for tokens in range(0, 2001, 100)
    )


TIMES = {"a": [500.0] * 5, "n = 2, b": [1000.0] * 5, "3": [INF] * 5}


@pytest.mark.parametrize("comparison", COMPARISONS.values(), ids=COMPARISONS)
def test_conditions_of_families_have_distinct_experiments(comparison: Comparison) -> None:
    study = comparison_study(comparison)
    whole, *parts = study.scales
    sweeps = [stage.largest for stage in study.stages(whole)]
    assert [stage.largest.name for part in parts for stage in study.stages(part)] in ([], [sweep.name for sweep in sweeps])
    for (name, family), sweep in zip(comparison.families.items(), sweeps, strict=True):
        runs = grid_experiments(sweep)
        assert len(runs) == len(family.conditions) * len(comparison.seeds)
        assert {condition_of(family.conditions, run) for run in runs} == set(family.conditions)
        assert {each.evaluation.split for each in runs.values()} == {comparison.split}
        assert len({each.steps * each.positions_per_step for each in runs.values()}) == 1, f"{name}: equal tokens"
        seen = {run.rpartition("-seed")[0]: each.model_copy(update={"seed": 0}) for run, each in runs.items()}
        assert len({each.fingerprint for each in seen.values()}) == len(family.conditions)


def test_names_of_folders_determine_the_conditions() -> None:
    for name, family in SMALL.families.items():
        runs = grid_experiments(sweep_of(SMALL, name))
        assert {condition_of(family.conditions, run) for run in runs} == set(family.conditions)
    assert folder_name("n = 2, b") == "n2_b"


def test_only_runs_with_a_plateau_end_once_solved() -> None:
    stops = [next(iter(grid_experiments(sweep_of(SMALL, name)).values())).evaluation.stop.metric for name in SMALL.families]
    assert stops == ["accuracy/copy/1", None]


def test_tables_compare_with_the_baseline() -> None:
    family, frame = SMALL.families["plateau"], frame_of(TIMES, {"n = 2, b": 2.0})
    runs = run_table(family, frame).set_index("condition")
    assert [text.split(" [")[0] for text in runs["escaped"]] == ["5 of 5", "5 of 5", "0 of 5"]
    assert runs["FLOPs of a step"].tolist() == ["1.00", "2.00", "1.00"]
    rates = run_table(family, frame, dict.fromkeys(TIMES, 2e-3))
    assert rates["peak rate"].tolist() == ["0.002"] * 3
    tokens, flops = (escape_table(family, frame, what).set_index("condition") for what in ("tokens", "FLOPs"))
    assert tokens["later"].to_dict() == {"n = 2, b": 1, "3": 3}
    assert flops["later"].to_dict() == {"n = 2, b": 3, "3": 3}
    assert tokens["escaped"].to_dict() == {"n = 2, b": 5, "3": 0}
    assert tokens["p_log_rank_holm"].tolist() == pytest.approx([2 * 2 / 252] * 2)  # of C(10, 5) two separate the runs
    ends = end_table(family, frame).set_index(CONDITION)
    assert ends["difference"].round(2).to_dict() == {"3": -0.85, "n = 2, b": 0.0}


def test_differences_are_compared_between_families_seed_by_seed() -> None:
    early = frame_of(TIMES, {})
    late = frame_of(TIMES | {"3": [500.0] * 5}, {}).assign(**{FAMILY: "none"})
    comparison = replace(SMALL, against={"none": "plateau"})
    table = interaction_table(comparison, pd.concat([early, late])).set_index(CONDITION)
    assert table["change"].round(3).to_dict() == {"3": 0.85, "n = 2, b": 0.0}
    assert table.loc["3", "p_value"] == pytest.approx(2 / 2**5)
    assert table.loc["3", "p_holm"] == pytest.approx(2 * 2 / 2**5)
    assert interaction_table(comparison, early).empty
    both = pd.concat([early, late])
    compared, plain = ([section.title for section in sections_of(study, both)] for study in (comparison, SMALL))
    assert len(compared) == len(set(compared)) == len(plain) + 1


def test_families_are_compared_with_families_of_the_study() -> None:
    for comparison in COMPARISONS.values():
        for name, other in comparison.against.items():
            assert list(comparison.families[name].conditions) == list(comparison.families[other].conditions)
            assert comparison.families[name].metric == comparison.families[other].metric


def test_the_page_has_the_sections_of_each_family() -> None:
    plateau = frame_of(TIMES, {})
    frame = pd.concat([plateau, plateau.assign(**{FAMILY: "none"})])
    titles = [section.title for section in sections_of(SMALL, frame)]
    assert len(titles) == len(set(titles)) == 3 + 4 + 2
    assert sum("escape" in title for title in titles) == 1
    power = next(section.table for section in sections_of(SMALL, frame) if "can find" in section.title)
    assert power is not None
    assert power["least share found"].tolist() == ["0.84", "none", "none"]  # 4 or 5 of 5 against 0: 5 x^4 (1 - x) + x^5


def test_panels_of_one_value_share_their_range() -> None:
    none = frame_of(TIMES, {}).assign(**{FAMILY: "none"})
    higher = none.assign(**{FAMILY: "higher", "value": none["value"] + 0.5})
    figure, _ = draw({**SMALL.families, "higher": family_of(None)}, pd.concat([none, higher]))
    one, other = figure.axes
    assert one.get_xlim() == other.get_xlim()
    assert one.get_xlim()[0] < none["value"].min() < higher["value"].max() < one.get_xlim()[1]


def test_a_condition_of_which_half_escapes_has_its_median_drawn() -> None:
    times = {"a": [500.0, 700.0, INF, INF], "n = 2, b": [500.0, INF, INF, INF], "3": [500.0, 700.0, 900.0, INF]}
    frame, family = frame_of(times, {}), SMALL.families["plateau"]
    figure, _ = draw(SMALL.families, frame)
    bars = [line.get_xdata()[0] * 1e6 for line in figure.axes[0].lines if line.get_marker() == "None"]
    medians = time_table(times_of(family, frame), "escaped", [CONDITION]).set_index(CONDITION)["median"]
    assert bars == pytest.approx(medians[["a", "3"]].tolist())
    assert medians.isna().to_dict() == {"a": False, "n = 2, b": True, "3": False}


def test_the_figure_has_a_panel_for_each_family() -> None:
    plateau = frame_of(TIMES, {})
    figure, numbers = draw(SMALL.families, pd.concat([plateau, plateau.assign(**{FAMILY: "none"})]))
    times, ends = figure.axes
    assert [text.get_text() for text in times.texts] == ["5/5", "5/5", "0/5"]
    assert [label.get_text() for label in times.get_yticklabels()] == list(TIMES)
    assert [label.get_text() for label in ends.get_yticklabels()] == [""] * 3  # those of its neighbour
    assert times.get_xlim() != ends.get_xlim()
    own = numbers[numbers[FAMILY] == "plateau"].set_index(CONDITION)
    assert own.loc["a", "escaped"].tolist() == [500] * 5
    values = numbers.loc[(numbers[FAMILY] == "none") & (numbers[CONDITION] == "3"), "value"]
    assert values.tolist() == pytest.approx([0.1, 0.11, 0.12, 0.13, 0.14])
