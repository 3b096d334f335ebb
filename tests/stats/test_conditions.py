import itertools
import math
import re
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab import plots
from lab.errors import LabError
from lab.stats import importance
from lab.stats.conditions import conditions, ended_early, varied_settings
from lab.stats.configurations import configuration_table, run_values
from lab.stats.emergence import emergence_table

METRIC = "accuracy/copy/1"
AXES = {
    "n_future": [1, 2, 4],
    "model.width": [32, 64, 64.5],
    "objective.name": ["sum", "bag"],
    "task.layers": [None, 2, 3],
    "model.layers": [2, 3],
    "objective.detached": [False, True],
}
STEPS = (0, 20, 40)


def build_frame(runs: list[dict[str, object]]) -> pd.DataFrame:
    """Build a frame of runs from their settings and seeds; all values differ."""
    rows = []
    rng = np.random.default_rng(0)
    for index, run in enumerate(runs):
        described = {
            "run": f"r{index}",
            "task": "induction",
            **run,
            "parameters": 10**5 * (1 + (run.get("model.width") == 64)),
            "state": "finished",
        }
        for step in STEPS:
            measured = {"step": step, "tokens": 100 * step + index % 3, "flops": 1.0 * step, "seconds": 0.1 * step}
            values = {METRIC: rng.random(), "prefix_matching/trunk": rng.random(), "prefix_matching/trunk.0/1": rng.random()}
            values |= {"gradient/trunk/1": rng.random()}
            rows += [described | measured | {"metric": metric, "value": value} for metric, value in values.items()]
    return pd.DataFrame(rows)


@st.composite
def grids(draw: st.DrawFn) -> pd.DataFrame:
    """Draw a frame of a random part of a random grid: some combinations, seeds and settings are missing."""
    names = ["n_future", *draw(st.lists(st.sampled_from(list(AXES)[1:]), unique=True, min_size=1, max_size=3))]
    values = [draw(st.lists(st.sampled_from(AXES[name]), unique=True, min_size=1, max_size=2)) for name in names]
    combinations = [dict(zip(names, each, strict=True)) for each in itertools.product(*values)]
    runs = [{**combination, "seed": seed} for combination in combinations for seed in range(draw(st.integers(1, 6)))]
    missing = draw(st.sets(st.sampled_from(range(len(runs))), max_size=len(runs) - 1))
    return build_frame([run for index, run in enumerate(runs) if index not in missing])


def configurations(frame: pd.DataFrame) -> dict[tuple[str, ...], pd.DataFrame]:
    names = [name for name in AXES if name in frame]
    runs = frame.assign(key=list(map(tuple, frame[names].map(repr).to_numpy())))
    return dict(iter(runs.groupby("key")))


def means(frame: pd.DataFrame, metric: str, step: int) -> set[tuple[float, int]]:
    """Compute the mean and the number of seeds of each configuration at a step."""
    at = frame[(frame["metric"] == metric) & (frame["step"] == step)]
    return {(round(part["value"].mean(), 9), len(part)) for part in configurations(at).values()}


CURVES: dict[str, tuple[str, Callable[[pd.DataFrame], pd.DataFrame]]] = {
    "emergence": (METRIC, lambda frame: plots.emergence(frame, METRIC)[1]),
    "induction": ("prefix_matching/trunk", lambda frame: plots.induction(frame)[1]),
    "gradients": ("gradient/trunk/1", lambda frame: plots.gradients(frame)[1]),
}
ENDS = ("grid", "size", "pareto", "parallel")


def try_to_draw(draw: Callable[[], pd.DataFrame]) -> pd.DataFrame | None:
    """Return the table of a figure, or None if it rejects the conditions as too many or too few."""
    try:
        return draw()
    except LabError as error:
        if not re.search("too many|nothing to compare|at least 8 configurations", str(error)):
            raise
        return None


@pytest.fixture(scope="module", autouse=True)
def few_shuffles() -> Iterator[None]:
    """Shuffle little: the figure of importance is drawn for its configurations, not for the importance under chance."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importance, "SHUFFLES", 2)
        yield


@settings(max_examples=8, deadline=None)
@given(grids())
def test_no_figure_averages_different_configurations(frame: pd.DataFrame) -> None:
    for metric, draw in CURVES.values():
        table = try_to_draw(lambda draw=draw: draw(frame))
        for step in STEPS if table is not None else ():
            at = table[table["step"] == step]
            assert {(round(mean, 9), seeds) for mean, seeds in zip(at["mean"], at["seeds"], strict=True)} == means(
                frame, metric, step
            )
    for name in ENDS:
        table = try_to_draw(lambda name=name: plots.find_figure(name)(frame, METRIC)[1])
        if table is not None:
            found = {(round(mean, 9), seeds) for mean, seeds in zip(table["mean"], table["seeds"], strict=True)}
            assert found == means(frame, METRIC, STEPS[-1])
    heads = try_to_draw(lambda: plots.heatmap(frame)[1])
    if heads is not None:
        found = {(round(mean, 9), seeds) for mean, seeds in zip(heads[1], heads["seeds"], strict=True)}
        assert found == means(frame, "prefix_matching/trunk.0/1", STEPS[-1])
    curve = try_to_draw(lambda: plots.survival(frame, METRIC)[1])
    if curve is not None:
        sizes = curve.groupby("condition")["runs"].first()
        assert sorted(sizes) == sorted(len(part.groupby("run")) for part in configurations(frame).values())
    medians = try_to_draw(lambda: plots.times(frame, METRIC)[1])
    if medians is not None:
        assert sorted(medians["runs"]) == sorted(len(part.groupby("run")) for part in configurations(frame).values())
    important = try_to_draw(lambda: plots.importance(frame, METRIC)[1])
    if important is not None:
        assert set(important["cells"]) == {len(configurations(frame))}


def test_every_figure_is_tried() -> None:
    tried = {*CURVES, *ENDS, "heatmap", "survival", "times", "importance"}
    assert tried == set(plots.FIGURES) - {"acceptance", "speedup"}, "which average by `condition_means`"


@settings(max_examples=40, deadline=None)
@given(grids(), st.lists(st.sampled_from([*AXES, "seed", "run"]), unique=True, min_size=1, max_size=2))
def test_settings_that_mix_configurations_are_rejected(frame: pd.DataFrame, by: list[str]) -> None:
    by = [name for name in by if name in frame.columns] or ["seed"]
    groups = frame.drop_duplicates("run").groupby(by, dropna=False)
    enough = all(part[name].map(repr).nunique() == 1 for _, part in groups for name in varied_settings(frame))
    if enough:
        found = conditions(frame, by).frame
        assert (found.groupby(["condition", "seed"], observed=True)["run"].nunique() == 1).all()
    else:
        with pytest.raises(LabError, match=r"differ in .* and not in the seed alone"):
            conditions(frame, by)


def two_seeds(**more: list[object]) -> pd.DataFrame:
    """Build a frame of two seeds of each combination."""
    names = ["n_future", *more]
    combinations = itertools.product([1, 2], *more.values())
    return build_frame([{**dict(zip(names, each, strict=True)), "seed": seed} for each in combinations for seed in range(2)])


def test_conditions_are_named_by_their_settings_in_order() -> None:
    found = conditions(two_seeds(**{"model.width": [128, 64], "objective.name": ["sum"]}))
    assert found.table["condition"].tolist() == [
        "n = 1, width = 64",
        "n = 1, width = 128",
        "n = 2, width = 64",
        "n = 2, width = 128",
    ]
    assert found.settings == ["n_future", "model.width"]
    assert conditions(two_seeds(), None).table["condition"].tolist() == ["n = 1", "n = 2"]
    assert list(conditions(two_seeds(), None).frame["condition"].cat.categories) == ["n = 1", "n = 2"]


def test_ambiguous_names_are_given_in_full() -> None:
    twice = two_seeds(**{"task.layers": [2, 3], "model.layers": [2, 3]})
    assert conditions(twice).table["condition"][0] == "n = 1, task.layers = 2, model.layers = 2"
    crossed = build_frame(
        [{"n_future": 1, "seed": 0, "model.heads": a, "objective.name": b} for a, b in ((None, "sum"), ("sum", None))]
    )
    assert conditions(crossed).table["condition"].nunique() == 2


def test_a_missing_setting_is_left_out_of_the_name() -> None:
    found = conditions(two_seeds(**{"task.arm": [None, 4]}))
    assert found.table["condition"].tolist() == ["n = 1", "n = 1, arm = 4", "n = 2", "n = 2, arm = 4"]


def test_settings_that_follow_from_the_named_are_noted() -> None:
    frame = two_seeds()
    frame["optimiser.peak_lr"] = frame["n_future"] * 0.001
    assert conditions(frame).settings == ["n_future"]
    assert conditions(frame).notes == ("optimiser.peak_lr changes with the condition",)


def test_the_seed_alone_cannot_separate_two_n() -> None:
    with pytest.raises(LabError, match=r"runs with seed = 0 differ in n_future and not in the seed alone: compare by it too"):
        plots.emergence(two_seeds(), METRIC, by=["seed"])
    with pytest.raises(LabError, match=r"runs with n = 1 differ in model\.width"):
        plots.induction(two_seeds(**{"model.width": [32, 64]}), by=["n_future"])
    with pytest.raises(LabError, match=r"did you mean 'model\.width'"):
        conditions(two_seeds(**{"model.width": [32, 64]}), ["model.widht"])
    with pytest.raises(LabError, match="do not differ in 'value'"):
        conditions(two_seeds(), ["value"])


def test_two_tasks_are_two_conditions() -> None:
    frame = build_frame([{"n_future": 1, "seed": 0}, {"n_future": 1, "seed": 1}])
    frame.loc[frame["run"] == "r1", "task"] = "recall"
    assert conditions(frame).table["condition"].tolist() == ["induction", "recall"]


def test_a_copied_run_counts_as_one_seed() -> None:
    frame = two_seeds()
    copy = frame[frame["run"] == "r0"].assign(run="r0 (copy)", state="killed")
    found = conditions(pd.concat([copy[copy["step"] < 40], frame]))
    assert found.frame["run"].nunique() == 4
    assert found.notes == ("same configuration and seed again, counted once: r0 (copy) (as r0)",)
    table = plots.grid(pd.concat([frame, copy]), METRIC)[1]
    assert set(table["seeds"]) == {2}
    assert table.attrs["notes"] == ("1 of 5 runs left out: r0 (copy) (killed at step 40)",)


def test_runs_that_do_not_count_are_named() -> None:
    frame = two_seeds()
    frame.loc[frame["run"] == "r3", "state"] = "killed"
    frame = frame[~((frame["run"] == "r3") & (frame["step"] > 20))]
    found = conditions(frame, keep="finished")
    assert found.notes == ("1 of 4 runs left out: r3 (killed at step 20)",)
    assert conditions(frame, keep="not diverged").notes == ()
    frame.loc[frame["run"] == "r3", "state"] = "diverged"
    assert "r3 (diverged at step 20)" in conditions(frame, keep="not diverged").notes[0]
    assert conditions(frame).frame["run"].nunique() == 4
    with pytest.raises(LabError, match="no run is finished: 4 of 4 runs left out: r0"):
        conditions(frame.assign(state="stopped"), keep="finished")


def test_unfinished_runs_have_no_end_value() -> None:
    frame = two_seeds()
    frame.loc[frame["run"] == "r3", "state"] = "killed"
    assert set(run_values(frame, METRIC)["run"]) == {"r0", "r1", "r2"}
    assert len(run_values(frame.drop(columns="state"), METRIC)) == 4, "an older table counts as finished"


def test_tables_of_mixed_configurations_are_rejected() -> None:
    frame = two_seeds(**{"model.width": [32, 64]})
    with pytest.raises(LabError, match=r"runs with n = 1 differ in model\.width"):
        configuration_table(run_values(frame, METRIC), ["n_future"])
    with pytest.raises(LabError, match=r"runs with n = 1 differ in model\.width"):
        emergence_table(frame, METRIC)
    assert len(configuration_table(run_values(frame, METRIC), ["n_future", "model.width"])) == 4
    copy = frame[frame["run"] == "r0"].assign(run="r0 (copy)")
    with pytest.raises(LabError, match="several runs of 1, 32 have one seed and the same settings"):
        configuration_table(run_values(pd.concat([frame, copy]), METRIC), ["n_future", "model.width"])


def test_a_value_that_is_nan_is_left_out() -> None:
    frame = two_seeds()
    frame.loc[(frame["run"] == "r0") & (frame["step"] == 40), "value"] = math.nan
    table = plots.emergence(frame, METRIC)[1]
    row = table[(table["condition"] == "n = 1") & (table["step"] == 40)].iloc[0]
    other = frame[(frame["run"] == "r1") & (frame["step"] == 40) & (frame["metric"] == METRIC)]["value"].item()
    assert (row["seeds"], row["condition_seeds"], row["mean"]) == (1, 2, other)


@pytest.mark.parametrize("differ", [{"n_future": 2}, {}], ids=["in a setting", "in their values alone"])
def test_two_runs_with_one_name_are_rejected(differ: dict[str, object]) -> None:
    frame = two_seeds()
    other = frame[frame["run"] == "r0"].assign(value=0.5, **differ)
    with pytest.raises(LabError, match="two runs of the frame have the name 'r0'"):
        plots.emergence(pd.concat([frame, other]), METRIC)


@pytest.mark.parametrize(
    ("reached", "early"),
    [
        (None, [False, False]),
        ([math.nan, math.nan], [False, False]),
        (["", "m >= 1"], [False, True]),
        ([None, "m"], [False, True]),
    ],
)
def test_runs_that_ended_early_have_what_they_reached(reached: list[object] | None, early: list[bool]) -> None:
    """A column of a CSV that is empty throughout has numbers, all NaN."""
    frame = pd.DataFrame({"run": ["a", "b"]})
    assert ended_early(frame if reached is None else frame.assign(reached=reached)).tolist() == early
