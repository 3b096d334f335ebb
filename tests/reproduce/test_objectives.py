"""The study of objectives: its plan, the choice of rates, and tables that follow from a frame."""

import pandas as pd
import pytest

from lab.config.kinds import KINDS
from lab.config.objective_table import OBJECTIVES
from lab.reproduce.comparison.plan import CONDITION, condition_of
from lab.reproduce.comparison.tables import escape_table, run_table
from lab.reproduce.objectives import page, plan
from lab.reproduce.objectives.conditions import (
    BENCHES,
    CONDITIONS,
    NEXT_TOKEN,
    QUESTIONS,
    SCALES,
    SUM,
    conditions_of,
    family_of,
)
from lab.reproduce.objectives.figure import draw
from lab.sweeping.spec.configurations import grid_experiments

INF = float("inf")


@pytest.mark.parametrize("task", BENCHES)
def test_every_condition_has_its_rates_and_seeds(task: str) -> None:
    tuning, main = (grid_experiments(stage.largest) for stage in plan.stages(task))
    count = len(conditions_of(task))
    assert (len(tuning), len(main)) == (count * len(BENCHES[task].rates) * 2, count * 8)
    assert {each.seed for each in tuning.values()}.isdisjoint(each.seed for each in main.values())
    assert {each.evaluation.split for each in tuning.values()} == {"validation"}
    assert {each.evaluation.split for each in main.values()} == {"test"}
    assert len({each.steps * each.positions_per_step for each in (*tuning.values(), *main.values())}) == 1, "equal tokens"
    assert {condition_of(CONDITIONS, name) for name in (*tuning, *main)} == set(conditions_of(task))


def test_every_objective_is_a_condition() -> None:
    names = {str(each.settings.get("objective.name", "sum")) for each in CONDITIONS.values()}
    assert names == set(OBJECTIVES)
    assert {str(each.settings.get("model.heads", "parallel")) for each in CONDITIONS.values()} <= set(KINDS)
    assert all(len(each.facts) == len(QUESTIONS) for each in CONDITIONS.values())


def test_the_whole_study_shares_its_runs_with_each_task() -> None:
    names = [stage.largest.name for stage in plan.stages("laptop")]
    assert names == [stage.largest.name for task in SCALES["laptop"] for stage in plan.stages(task)]


def test_each_condition_gets_the_rate_that_solves_first() -> None:
    values = pd.DataFrame(
        [
            ("a", 1e-3, 0, 100.0, 0.9), ("a", 1e-3, 1, 900.0, 0.9),
            ("a", 2e-3, 0, 400.0, 0.9), ("a", 2e-3, 1, 400.0, 0.9),
            ("b", 1e-3, 0, 900.0, 0.4), ("b", 1e-3, 1, 900.0, 0.4),
            ("b", 2e-3, 0, 900.0, 0.4), ("b", 2e-3, 1, 900.0, 0.5),
        ],
        columns=[CONDITION, plan.RATE, "seed", "time", "value"],
    )  # fmt: skip
    assert plan.best_rates(values) == {"a": 1e-3, "b": 2e-3}  # a: 300 against 400; b: equal times, and a better end


def frame_of(task: str, times: dict[str, list[float]], costs: dict[str, float]) -> pd.DataFrame:
    """Build a frame of runs that solve the task from given tokens on, inf for never."""
    rows = [
        {"task": task, CONDITION: name, "cost": costs.get(name, 1.0), "run": f"{name}-{seed}", "seed": seed}
        | {"state": "finished", "reached": "", "step": tokens // 100, "tokens": tokens, "metric": BENCHES[task].metric}
        | {"value": 0.97 if tokens >= time else 0.1}
        for name, each in times.items()
        for seed, time in enumerate(each)
        for tokens in range(0, 2001, 100)
    ]
    return pd.DataFrame(rows)


TIMES = {name: [500.0, 500, 500, 500] for name in conditions_of("agreement")} | {
    NEXT_TOKEN: [INF] * 4,
    "joint": [1000.0, 1000, 1000, 1000],
    "hinge": [500.0, 500, INF, INF],
}


def test_tables_follow_from_the_frame() -> None:
    frame = frame_of("agreement", TIMES, {"joint": 2.0, "sum": 1.25})
    tuned = pd.DataFrame(
        {"task": "agreement", CONDITION: name, plan.RATE: rate, "seed": 0, "time": rate, "value": 0.5}
        for name in TIMES
        for rate in BENCHES["agreement"].rates
    )
    family = family_of("agreement")
    runs = run_table(family, frame, plan.best_rates(tuned)).set_index("condition")
    assert runs.loc["hinge", "escaped"].startswith("2 of 4")
    assert runs.loc["joint", "FLOPs of a step"] == "2.00"
    assert set(runs["peak rate"]) == {"0.001"}
    tokens, flops = (escape_table(family, frame, what).set_index("condition") for what in ("tokens", "FLOPs"))
    assert (tokens.loc["joint", "later"], flops.loc["joint", "later"]) == pytest.approx((1, 2.2))
    assert (tokens.loc["bag", "later"], flops.loc["bag", "later"]) == pytest.approx((0, -0.2))
    assert tokens.loc[NEXT_TOKEN, "escaped"] == 0
    metric_of_head_2, _ = BENCHES["agreement"].stepping_stone or ("", "")
    of_head_2 = frame[frame[CONDITION].isin([SUM, "hinge"])].assign(metric=metric_of_head_2, reached="solved")
    sections = page.sections_of(pd.concat([frame, of_head_2]), tuned)
    titles = [section.title for section in sections]
    assert len(titles) == len(set(titles)) == 7
    known = sections[-1].table
    assert known is not None
    assert known["condition"].tolist() == [SUM, "hinge"]
    assert known["head 2 knows it"].str[:6].tolist() == ["4 of 4", "2 of 4"]
    assert known["head 1 escapes"].tolist() == ["4 of 4", "2 of 4"]


def test_the_figure_has_each_runs_time() -> None:
    frame = pd.concat([frame_of("agreement", TIMES, {}), frame_of("star", {SUM: [300.0, INF]}, {})])
    figure, times = draw(frame)
    assert len(figure.axes) == 3
    own = times[(times["task"] == "star") & times["escaped_observed"]]
    assert own["escaped"].tolist() == [300]
    shown = [text.get_text() for text in figure.axes[1].texts]
    assert shown.count("4/4") == len(TIMES) - 2
    assert {"0/4", "2/4"} <= set(shown)
