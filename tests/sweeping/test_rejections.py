"""Wrong sweeps: one line that names the mistake, exit status 2, and nothing written."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import lab
from lab.sweeping import Workers
from tests.helpers.rejection import assert_rejected
from tests.helpers.sweeps import BASE, grid, search, set_up_sweep

TWO = {"icl": "minimise", "seconds": "minimise"}


def steps(**space: Any) -> dict[str, Any]:
    return search(search={"steps": {"kind": "int", "low": 5, "high": 9} | space})


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "setting of a sweep": (grid(sedes=2), "unknown setting 'sedes'; did you mean 'seeds'?"),
    "setting of the base": (grid({"stpes": 3}), "unknown setting 'stpes'; did you mean 'steps'?"),
    "axis": (grid(grid={"model.widht": [8]}), "unknown setting 'model.widht'; did you mean 'model.width'?"),
    "setting of a label": (grid(grid={"arm": {"a": {"n_futrue": 1}}}), "did you mean 'n_future'?"),
    "task": (grid({"task": "inductoin"}), "did you mean 'induction'?"),
    "no task": (grid() | {"base": {"steps": 5}}, "base.task is missing"),
    "no base": ({"grid": {"n_future": [1]}}, "base is missing"),
    "task twice": (grid({"task.name": "star"}), "task is given twice"),
    "neither grid nor search": ({"base": BASE}, "either a grid or a search"),
    "empty grid": (grid(grid={}), "grid must name a setting and its values"),
    "no values": (grid(grid={"n_future": []}), "grid.n_future: has no values"),
    "a value twice": (grid(grid={"n_future": [1, 1]}), "grid.n_future: states a value twice"),
    "infinite value": (
        grid(grid={"optimiser.peak_lr": [float("nan")]}),
        "optimiser.peak_lr: states a number that is not finite",
    ),
    "label without settings": (grid(grid={"arm": {"a": 1}}), "grid.arm: each label needs the settings"),
    "impossible value": (grid(grid={"n_future": [1, 9]}), "n_future must be at most 3, not 9"),
    "impossible end": (steps(low=-2), "steps must be at least 1"),
    "step beyond the range": (steps(step=10), "search.steps: step must be at most 4, which is high - low, not 10"),
    "whole numbers as real ones": (
        search(search={"n_future": {"kind": "float", "low": 1, "high": 3}}),
        "search.n_future.kind must be int, not 'float': n_future must be a whole number, not 1.76",
    ),
    "end of a range as text": (steps(low="5"), "search.steps.low must be a whole number, not '5'"),
    "range without an end": (search(search={"steps": {"kind": "int", "low": 5}}), "search.steps.high is missing"),
    "setting of a range": (steps(stpe=2), "unknown setting 'search.steps.stpe'; did you mean 'search.steps.step'?"),
    "setting of a pruner": (
        search(pruner={"kind": "hyperband", "min_setps": 5}),
        "unknown setting 'pruner.min_setps'; did you mean 'pruner.min_steps'?",
    ),
    "setting of the budget": (search(budget={"trails": 5}), "unknown setting 'budget.trails'; did you mean 'budget.trials'?"),
    "choices as text": (
        search(search={"model.mlp": {"kind": "categorical", "choices": "gelu"}}),
        "search.model.mlp: must be a list of values, or labels with their settings, not 'gelu'",
    ),
    "reversed range": (steps(low=9, high=5), "low must be below high, not 9 and 5"),
    "log scale from 0": (steps(kind="log", low=0), "low must be above 0 on a log scale"),
    "kind of range": (steps(kind="itn"), "search.steps.kind must be one of"),
    "list as a range": (search(search={"steps": [5, 9]}), "search.steps must be a mapping of settings, not [5, 9]"),
    "search without a budget": (search(budget={}), "budget.trials or budget.seconds is missing"),
    "number too small": (search(budget={"trials": 0}), "budget.trials must be at least 1, not 0"),
    "budget of a grid": (grid(budget={"trials": 5}), "budget.trials is for a search"),
    "sampler of a grid": (grid(sampler="tpe"), "sampler is for a search"),
    "sampler": (search(sampler="tpx"), "sampler.kind must be one of"),
    "pruner": (search(pruner="mediam"), "pruner.kind must be one of median, hyperband, not 'mediam'"),
    "grid of millions": (
        grid(grid={"steps": [*range(1, 1001)], "batch_size": [*range(1, 1001)]}),
        "grid must have at most 100000 runs, all its configurations on each seed, not 2000000",
    ),
    "seed in the base": (grid({"seed": 3}), "seed cannot be set or varied"),
    "no seeds": (grid(seeds=0), "seeds must be a number above 0"),
    "range of seeds": (grid(seeds="5:1"), "seeds must be A:B with A < B, not '5:1'"),
    "fraction of seeds": (grid(seeds=2.5), "seeds must be a list, not 2.5"),
    "name that is a path": (grid(name="a/b"), "name must be a text that matches"),
    "name that is the folder above": (grid(name=".."), "name must be a text that matches"),
    "axis as a number": (grid(grid={"n_future": 2}), "grid.n_future: must be a list of values, or labels with"),
    "number as an axis": (grid(grid={3: [1]}), "grid.3 must be a name, not 3"),
    "setting of two axes": (
        grid(grid={"n_future": [1, 2], "arm": {"a": {"n_future": 2}}}),
        "setting n_future must be varied by one axis, not by arm and n_future",
    ),
    "axis as a column of the frame": (
        grid(grid={"value": {"a": {"n_future": 1}}}),
        "an axis must have another name than 'value'",
    ),
    "axis as a column": (grid(grid={"state": {"a": {"n_future": 1}}}), "an axis must have another name than 'state'"),
    "number as a metric": (grid(metrics={3: "minimise"}), "metrics.3 must be a name, not 3"),
    "devices": (grid({"accelerator": "auto", "devices": 2}), "devices must be 1 in a sweep, not 2"),
    "metric": (grid(metrics={"accuracy/cpy/1": "maximise"}), "did you mean 'accuracy/copy/1'?"),
    "metric of one n": (grid(metrics={"loss/all/2": "minimise"}), "'loss/all/2' is not reported at n_future 1"),
    "direction": (grid(metrics={"loss/all/1": "down"}), "metrics.loss/all/1 must be one of"),
    "metrics of a grid": (grid(metrics=TWO), "metrics of a grid must be one, not 2"),
    "metrics of a pruner": (search(metrics=TWO, pruner="median"), "pruner needs one metric, not 2"),
    "pruner of a cost": (
        search(metrics={"seconds": "minimise"}, pruner="median"),
        "pruner needs a metric that runs measure at their evaluation points, not seconds",
    ),
    "metrics of gp": (search(metrics=TWO, sampler="gp"), "sampler.kind must be one of tpe, nsga2, random for several metrics"),
}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(description: dict[str, Any]) -> None:
    Path("s.yaml").write_text(yaml.safe_dump(description))


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_sweep_is_named_in_one_line(mistake: str, capsys: pytest.CaptureFixture[str]) -> None:
    description, expected = WRONG[mistake]
    write(description)
    assert_rejected(["sweep", "s.yaml"], ("s.yaml: ", expected), capsys)


def test_a_file_that_is_not_a_sweep_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert_rejected(["sweep", "gone.yaml"], ("gone.yaml: No such file",), capsys)
    Path("s.yaml").write_text("base: [1\n")
    assert_rejected(["sweep", "s.yaml"], ("s.yaml, line", "not YAML"), capsys)
    Path("s.yaml").write_text("- 1\n")
    assert_rejected(["sweep", "s.yaml"], ("s.yaml: must be a mapping",), capsys)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--workers 0", "--workers must be at least 1, not 0"),
        ("--per-device 0", "--per-device must be at least 1, not 0"),
        ("--address auto", "--address is for --engine ray"),
        ("--storage sqlite:///x.db", "storage must be postgresql://..., not 'sqlite:///x.db'"),
    ],
)
def test_wrong_options_are_named(options: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(grid())
    assert_rejected(["sweep", "s.yaml", *options.split()], (expected,), capsys)


def test_a_search_has_no_retries(capsys: pytest.CaptureFixture[str]) -> None:
    write(search())
    assert_rejected(["sweep", "s.yaml", "--retry-failed"], ("retry_failed is for a grid",), capsys)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"count": 2.5}, r"workers must be a whole number, not 2\.5"),
        ({"count": 0}, "workers must be at least 1, not 0"),
        ({"per_device": 0}, "per_device must be at least 1, not 0"),
        ({"engine": "rya"}, "engine must be one of local, ray, not 'rya'"),
        ({"address": "auto"}, "address is for the engine ray"),
    ],
)
def test_wrong_workers_are_named(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(lab.LabError, match=expected):
        Workers(**options)


def test_an_unreachable_storage_is_named_without_password(capsys: pytest.CaptureFixture[str]) -> None:
    write(grid())
    url = "postgresql://me:secret@127.0.0.1:1/none"
    expected = "storage postgresql://me:***@127.0.0.1:1/none cannot be reached: "
    assert_rejected(["sweep", "s.yaml", "--storage", url], (expected,), capsys)


def test_a_folder_of_another_sweep_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_sweep(grid(seeds=3), Path("out"))
    write(grid())
    assert_rejected(
        ["sweep", "s.yaml", "--out", "out"],
        ("out: holds a study 'tiny' with other settings; choose another --out",),
        capsys,
    )


def test_a_folder_of_something_else_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    write(grid())
    Path("file").write_text("mine")
    assert_rejected(["sweep", "s.yaml", "--out", "file"], ("file: is not a folder; choose another --out",), capsys)
    Path("out/n1-seed0").mkdir(parents=True)
    assert_rejected(
        ["sweep", "s.yaml", "--out", "out"], ("out/n1-seed0: exists already and is no run; choose another --out",), capsys
    )
    Path("other").mkdir()
    Path("other/sweep.yaml").write_text("of a sweep whose journal is somewhere else")
    assert_rejected(["sweep", "s.yaml", "--out", "other"], ("other: holds a sweep whose study is not in other",), capsys)
    Path("table").mkdir()
    Path("table/runs.csv").write_text("mine")
    assert_rejected(
        ["sweep", "s.yaml", "--out", "table"], ("table/runs.csv: exists already and is no table of a sweep",), capsys
    )
