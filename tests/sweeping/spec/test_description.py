import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import lab
from lab.errors import LabError
from lab.sweeping.spec.check import check, known_metrics, measured_metrics
from lab.sweeping.spec.configurations import build_experiment, grid_trial, run_name, run_names, trial_experiments
from lab.sweeping.spec.files import dump, from_mapping, load
from tests.helpers.sweeps import grid, search

SWEEPS = sorted((Path(__file__).parents[3] / "sweeps").glob("*.yaml"))


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_published_sweeps_are_valid_and_described(path: Path) -> None:
    assert check(load(path)).possible
    header = path.read_text().partition("base:")[0]
    first = header.splitlines()[0]
    assert first.startswith("# ")
    assert first.endswith("?")
    assert all(f"# {word}: " in header for word in ("Expected", "Cost", "Command"))


def test_a_grid_combines_all_values_and_completes_pairs_first() -> None:
    sizes = {"small": {"model.width": 8}, "large": {"model.width": 16, "optimiser.peak_lr": 1e-3}}
    sweep = from_mapping(grid(grid={"n_future": [1, 2], "size": sizes}, seeds=[5, 7]))
    trials = [grid_trial(sweep, number) for number in range(8)]
    assert [trial["seed"] for trial in trials] == [5] * 4 + [7] * 4
    assert [(trial["n_future"], trial["size"]) for trial in trials[:4]] == [
        (1, "small"), (1, "large"), (2, "small"), (2, "large")
    ]  # fmt: skip
    assert run_names(sweep, 1, trials[1]) == ["n1-large-seed5"]
    (large,) = trial_experiments(sweep, trials[7])
    assert (large.n_future, large.model.width, large.optimiser.peak_lr, large.seed) == (2, 16, 1e-3, 7)


@pytest.mark.parametrize("seeds", ["3:6", "3,4,5", [3, 4, 5]])
def test_seeds_have_the_syntax_of_the_command(seeds: object) -> None:
    assert from_mapping(grid(seeds=seeds)).seeds == (3, 4, 5)


def test_configurations_differ_only_in_what_varies() -> None:
    sweep = from_mapping(grid())
    one, two = (build_experiment(sweep, combination, 3) for combination in sweep.configurations)
    assert lab.override(one, {"n_future": 2}) == two


def test_a_list_as_init_has_a_run_for_each_seed() -> None:
    shared = from_mapping(grid({"init": ["runs/a", "runs/b"]}, seeds=[7, 5]))
    assert [build_experiment(shared, combination, seed).init for combination in shared.configurations for seed in (7, 5)] == [
        "runs/a",
        "runs/b",
    ] * 2
    starts = {"old": {"init": ["runs/c", "runs/d"]}, "new": {}}
    varied = from_mapping(grid({"init": "runs/a"}, grid={"start": starts}, seeds=[7, 5]))
    assert [build_experiment(varied, combination, 5).init for combination in varied.configurations] == ["runs/d", "runs/a"]
    with pytest.raises(LabError, match=r"^init must be one run, or a list with one for each of the 3 seeds, not 2$"):
        check(from_mapping(grid({"init": ["runs/a", "runs/b"]}, seeds=3)))


def test_a_base_can_be_a_whole_experiment() -> None:
    whole = yaml.safe_load(lab.dump(lab.experiment("induction", {"steps": 77, "model.size": "1M"})))
    del whole["seed"]
    sweep = from_mapping(grid() | {"base": whole, "grid": {"model.width": [32, 64]}})
    assert [build_experiment(sweep, combination, 0).model.width for combination in sweep.configurations] == [32, 64]
    assert build_experiment(sweep, sweep.configurations[0], 0).steps == 77


def test_tasks_can_vary_with_their_own_defaults() -> None:
    sweep = from_mapping(grid() | {"base": {"batch_size": 8}, "grid": {"task": ["induction", "star"]}})
    names = [run_name(sweep, combination, 0) for combination in sweep.configurations]
    assert names == ["induction-seed0", "star-seed0"]
    star = build_experiment(sweep, sweep.configurations[1], 0)
    assert star == lab.experiment("star", batch_size=8)


@given(st.data())
def test_yaml_preserves_a_sweep(data: st.DataObject) -> None:
    scalars = st.one_of(st.integers(-9, 9), st.floats(0.1, 9), st.text("abc", min_size=1), st.none())
    values = st.lists(st.one_of(scalars, st.lists(st.integers(0, 9), max_size=3)), min_size=1, max_size=3, unique_by=str)
    groups = st.dictionaries(st.text("abc", min_size=1), st.just({"steps": 5}), min_size=1, max_size=3)
    axes = data.draw(st.dictionaries(st.text("xyz.", min_size=1), st.one_of(values, groups), min_size=1, max_size=3))
    sweep = from_mapping({"name": "n", "base": {"task": "star"}, "grid": axes, "seeds": data.draw(st.integers(1, 4))})
    again = from_mapping(yaml.safe_load(dump(sweep)))
    assert again == sweep
    assert again.identity == sweep.identity
    assert len(set(sweep.configuration_names.values())) == len(sweep.configurations)


@given(st.lists(st.one_of(st.text("a./-_ é1", max_size=4), st.just("cell0"), st.just("é" * 99)), min_size=1, unique=True))
def test_run_folders_have_safe_and_unique_names(labels: list[str]) -> None:
    """A name is no hidden folder, which would be skipped, has no separator, looks like no option, and is not too long."""
    axes = {"x": {label: {"steps": 5} for label in labels}}
    sweep = from_mapping({"name": "n", "base": {"task": "star"}, "grid": axes})
    names = list(sweep.configuration_names.values())
    assert len(set(names)) == len(labels)
    assert all(re.fullmatch(r"\w[\w.+-]*", name) and len(name.encode()) <= 100 for name in names)


def test_identity_depends_on_everything_but_the_budget() -> None:
    sweep = from_mapping(search())
    assert from_mapping(search(budget={"trials": 9})).identity == sweep.identity
    for change in ({"seeds": 2}, {"base": {"steps": 13}}, {"rule": "best"}, {"sampler": {"kind": "random", "seed": 1}}):
        assert from_mapping(search(**change)).identity != sweep.identity


def test_an_impossible_combination_is_left_out() -> None:
    checked = check(from_mapping(grid(grid={"n_future": [1, 3], "model.layers": [3, 4]})))
    assert len(checked.possible) == 3
    ((labels, why),) = checked.impossible
    assert labels == {"n_future": 3, "model.layers": 3}
    assert "n_future must be at most 2" in why
    with pytest.raises(lab.LabError, match="n_future must be at most 2, not 9"):
        check(from_mapping(grid(grid={"n_future": [1, 9], "model.layers": [3, 4]})))


def test_ends_of_a_search_are_checked_in_combination() -> None:
    space = {
        "n_future": {"kind": "int", "low": 1, "high": 3},
        "model.layers": {"kind": "categorical", "choices": [3, 4]},
    }
    assert len(check(from_mapping(search(search=space))).impossible) == 1
    space["n_future"]["high"] = 4
    with pytest.raises(lab.LabError, match="n_future must be at most 2, not 4"):
        check(from_mapping(search(search=space)))


@pytest.mark.parametrize("task", ["induction", "star"])
def test_known_metrics_are_measured(task: str) -> None:
    small = {"model.width": 8, "model.n_heads": 2, "model.layers": 4, "evaluation.examples": 64, "n_future": 2}
    experiment = lab.experiment(task, small)
    assert known_metrics(experiment) <= measured_metrics(experiment)
