import itertools
import math
import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab import plots
from lab.errors import LabError
from lab.stats.conditions import conditions, varied_settings
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


def made(runs: list[dict[str, object]]) -> pd.DataFrame:
    """A frame of runs, each given by its settings and seed; every value is another."""
    rows = []
    rng = np.random.default_rng(0)
    for place, run in enumerate(runs):
        described = {
            "run": f"r{place}",
            "task": "induction",
            **run,
            "parameters": 10**5 * (1 + (run.get("model.width") == 64)),
            "state": "finished",
        }
        for step in STEPS:
            measured = {"step": step, "tokens": 100 * step + place % 3, "flops": 1.0 * step, "seconds": 0.1 * step}
            values = {METRIC: rng.random(), "prefix_matching/trunk": rng.random(), "prefix_matching/trunk.0/1": rng.random()}
            values |= {"gradient/trunk/1": rng.random()}
            rows += [described | measured | {"metric": metric, "value": value} for metric, value in values.items()]
    return pd.DataFrame(rows)


@st.composite
def grids(draw: st.DrawFn) -> pd.DataFrame:
    """Runs of a random part of a random grid: some combinations and seeds are missing, some settings not there."""
    names = ["n_future", *draw(st.lists(st.sampled_from(list(AXES)[1:]), unique=True, min_size=1, max_size=3))]
    values = [draw(st.lists(st.sampled_from(AXES[name]), unique=True, min_size=1, max_size=2)) for name in names]
    cells = [dict(zip(names, combination, strict=True)) for combination in itertools.product(*values)]
    runs = [{**cell, "seed": seed} for cell in cells for seed in range(draw(st.integers(1, 6)))]
    missing = draw(st.sets(st.sampled_from(range(len(runs))), max_size=len(runs) - 1))
    return made([run for place, run in enumerate(runs) if place not in missing])


def configurations(frame: pd.DataFrame) -> dict[tuple[str, ...], pd.DataFrame]:
    names = [name for name in AXES if name in frame]
    runs = frame.assign(key=list(map(tuple, frame[names].map(repr).to_numpy())))
    return dict(iter(runs.groupby("key")))


def means(frame: pd.DataFrame, metric: str, step: int) -> set[tuple[float, int]]:
    """Mean and number of seeds of each configuration at a step."""
    at = frame[(frame["metric"] == metric) & (frame["step"] == step)]
    return {(round(part["value"].mean(), 9), len(part)) for part in configurations(at).values()}


CURVES: dict[str, tuple[str, Callable[[pd.DataFrame], pd.DataFrame]]] = {
    "emergence": (METRIC, lambda frame: plots.emergence(frame, METRIC)[1]),
    "induction": ("prefix_matching/trunk", lambda frame: plots.induction(frame)[1]),
    "gradients": ("gradient/trunk/1", lambda frame: plots.gradients(frame)[1]),
}
ENDS = ("grid", "size", "pareto", "parallel")


def drawn(draw: Callable[[], pd.DataFrame]) -> pd.DataFrame | None:
    """What a figure shows, or nothing where it says that the conditions are too many, or too few to compare."""
    try:
        return draw()
    except LabError as error:
        if not re.search("too many|nothing to compare|at least 8 configurations", str(error)):
            raise
        return None


@settings(max_examples=12, deadline=None)
@given(grids())
def test_no_figure_averages_different_configurations(frame: pd.DataFrame) -> None:
    for metric, draw in CURVES.values():
        table = drawn(lambda draw=draw: draw(frame))
        for step in STEPS if table is not None else ():
            at = table[table["step"] == step]
            assert {(round(mean, 9), seeds) for mean, seeds in zip(at["mean"], at["seeds"], strict=True)} == means(
                frame, metric, step
            )
    for name in ENDS:
        table = drawn(lambda name=name: plots.find_figure(name)(frame, METRIC)[1])
        if table is not None:
            found = {(round(mean, 9), seeds) for mean, seeds in zip(table["mean"], table["seeds"], strict=True)}
            assert found == means(frame, METRIC, STEPS[-1])
    heads = drawn(lambda: plots.heatmap(frame)[1])
    if heads is not None:
        found = {(round(mean, 9), seeds) for mean, seeds in zip(heads[1], heads["seeds"], strict=True)}
        assert found == means(frame, "prefix_matching/trunk.0/1", STEPS[-1])
    curve = drawn(lambda: plots.survival(frame, METRIC)[1])
    if curve is not None:
        sizes = curve.groupby("condition")["runs"].first()
        assert sorted(sizes) == sorted(len(part.groupby("run")) for part in configurations(frame).values())
    cells = drawn(lambda: plots.times(frame, METRIC)[1])
    if cells is not None:
        assert sorted(cells["runs"]) == sorted(len(part.groupby("run")) for part in configurations(frame).values())
    important = drawn(lambda: plots.importance(frame, METRIC)[1])
    if important is not None:
        assert set(important["cells"]) == {len(configurations(frame))}
    tried = {*CURVES, *ENDS, "heatmap", "survival", "times", "importance"}
    assert tried == set(plots.FIGURES) - {"acceptance", "speedup"}, (
        "every figure is tried but those that average by condition_means"
    )


@settings(max_examples=40, deadline=None)
@given(grids(), st.lists(st.sampled_from([*AXES, "seed", "run"]), unique=True, min_size=1, max_size=2))
def test_what_is_named_suffices_or_is_rejected(frame: pd.DataFrame, by: list[str]) -> None:
    by = [name for name in by if name in frame.columns] or ["seed"]
    cells = frame.drop_duplicates("run").groupby(by, dropna=False)
    enough = all(part[name].map(repr).nunique() == 1 for _, part in cells for name in varied_settings(frame))
    if enough:
        found = conditions(frame, by).frame
        assert (found.groupby(["condition", "seed"], observed=True)["run"].nunique() == 1).all()
    else:
        with pytest.raises(LabError, match=r"differ in .* and not in the seed alone"):
            conditions(frame, by)


def pair(**more: list[object]) -> pd.DataFrame:
    """Two seeds of each combination."""
    names = ["n_future", *more]
    combinations = itertools.product([1, 2], *more.values())
    return made([{**dict(zip(names, each, strict=True)), "seed": seed} for each in combinations for seed in range(2)])


def test_conditions_are_named_by_their_settings_in_order() -> None:
    found = conditions(pair(**{"model.width": [128, 64], "objective.name": ["sum"]}))
    assert found.table["condition"].tolist() == [
        "n = 1, width = 64",
        "n = 1, width = 128",
        "n = 2, width = 64",
        "n = 2, width = 128",
    ]
    assert found.settings == ["n_future", "model.width"]
    assert conditions(pair(), None).table["condition"].tolist() == ["n = 1", "n = 2"]
    assert list(conditions(pair(), None).frame["condition"].cat.categories) == ["n = 1", "n = 2"]


def test_names_that_would_be_the_same_are_given_in_full() -> None:
    twice = pair(**{"task.layers": [2, 3], "model.layers": [2, 3]})
    assert conditions(twice).table["condition"][0] == "n = 1, task.layers = 2, model.layers = 2"
    crossed = made(
        [{"n_future": 1, "seed": 0, "model.heads": a, "objective.name": b} for a, b in ((None, "sum"), ("sum", None))]
    )
    assert conditions(crossed).table["condition"].nunique() == 2


def test_a_missing_setting_is_left_out_of_the_name() -> None:
    found = conditions(pair(**{"task.arm": [None, 4]}))
    assert found.table["condition"].tolist() == ["n = 1", "n = 1, arm = 4", "n = 2", "n = 2, arm = 4"]


def test_what_follows_from_the_named_settings_is_noted() -> None:
    frame = pair()
    frame["optimiser.peak_lr"] = frame["n_future"] * 0.001
    assert conditions(frame).settings == ["n_future"]
    assert conditions(frame).notes == ("optimiser.peak_lr changes with the condition",)


def test_seed_alone_names_no_condition_of_two_n() -> None:
    with pytest.raises(LabError, match=r"runs with seed = 0 differ in n_future and not in the seed alone: compare by it too"):
        plots.emergence(pair(), METRIC, by=["seed"])
    with pytest.raises(LabError, match=r"runs with n = 1 differ in model\.width"):
        plots.induction(pair(**{"model.width": [32, 64]}), by=["n_future"])
    with pytest.raises(LabError, match=r"did you mean 'model\.width'"):
        conditions(pair(**{"model.width": [32, 64]}), ["model.widht"])
    with pytest.raises(LabError, match="do not differ in 'value'"):
        conditions(pair(), ["value"])


def test_tasks_of_two_names_are_two_conditions() -> None:
    frame = made([{"n_future": 1, "seed": 0}, {"n_future": 1, "seed": 1}])
    frame.loc[frame["run"] == "r1", "task"] = "recall"
    assert conditions(frame).table["condition"].tolist() == ["induction", "recall"]


def test_a_copied_run_counts_as_one_seed() -> None:
    frame = pair()
    copy = frame[frame["run"] == "r0"].assign(run="r0 (copy)", state="killed")
    found = conditions(pd.concat([copy[copy["step"] < 40], frame]))
    assert found.frame["run"].nunique() == 4
    assert found.notes == ("same configuration and seed again, counted once: r0 (copy) (as r0)",)
    table = plots.grid(pd.concat([frame, copy]), METRIC)[1]
    assert set(table["seeds"]) == {1, 2}.intersection(table["seeds"])
    assert table.attrs["notes"]


def test_runs_that_do_not_count_are_named() -> None:
    frame = pair()
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
    frame = pair()
    frame.loc[frame["run"] == "r3", "state"] = "killed"
    assert set(run_values(frame, METRIC)["run"]) == {"r0", "r1", "r2"}
    assert len(run_values(frame.drop(columns="state"), METRIC)) == 4, "an older table counts as finished"


def test_tables_of_mixed_configurations_are_rejected() -> None:
    frame = pair(**{"model.width": [32, 64]})
    with pytest.raises(LabError, match=r"runs with n = 1 differ in model\.width"):
        configuration_table(run_values(frame, METRIC), ["n_future"])
    with pytest.raises(LabError, match=r"runs with n = 1 differ in model\.width"):
        emergence_table(frame, METRIC)
    assert len(configuration_table(run_values(frame, METRIC), ["n_future", "model.width"])) == 4
    copy = frame[frame["run"] == "r0"].assign(run="r0 (copy)")
    with pytest.raises(LabError, match="several runs of 1, 32 have one seed and the same settings"):
        configuration_table(run_values(pd.concat([frame, copy]), METRIC), ["n_future", "model.width"])


def test_a_value_that_is_not_a_number_is_no_value() -> None:
    frame = pair()
    frame.loc[(frame["run"] == "r0") & (frame["step"] == 40), "value"] = math.nan
    table = plots.emergence(frame, METRIC)[1]
    row = table[(table["condition"] == "n = 1") & (table["step"] == 40)].iloc[0]
    other = frame[(frame["run"] == "r1") & (frame["step"] == 40) & (frame["metric"] == METRIC)]["value"].item()
    assert (row["seeds"], row["condition_seeds"], row["mean"]) == (1, 2, other)


@pytest.mark.parametrize("differ", [{"n_future": 2}, {}], ids=["in a setting", "in their values alone"])
def test_two_runs_of_one_name_are_rejected(differ: dict[str, object]) -> None:
    frame = pair()
    other = frame[frame["run"] == "r0"].assign(value=0.5, **differ)
    with pytest.raises(LabError, match="two runs of the frame have the name 'r0'"):
        plots.emergence(pd.concat([frame, other]), METRIC)
