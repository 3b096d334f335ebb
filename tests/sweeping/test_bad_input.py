"""Whatever can be wrong with a sweep: one line that names it, exit status 2, and nothing written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cli.main import main
from tests.sweeping.tiny import BASE, begun

Make = Callable[..., dict[str, Any]]
SEARCH = {"search": {"steps": {"kind": "int", "low": 5, "high": 9}}, "budget": {"trials": 2}}


def row(phrase: str, changed: dict[str, Any], *expected: str) -> object:
    return pytest.param(changed, expected, id=phrase)


def base(**changed: Any) -> dict[str, Any]:
    return {"base": BASE | changed, "grid": {"n_future": [1, 2]}}


def searched(**changed: Any) -> dict[str, Any]:
    return {"base": BASE, **SEARCH, **changed}


WRONG = [
    row("unknown setting of a sweep", base() | {"sedes": 2}, "unknown setting 'sedes'", "did you mean 'seeds'?"),
    row("unknown setting of the base", base(stpes=3), "unknown setting 'stpes'", "did you mean 'steps'?"),
    row("unknown axis", base() | {"grid": {"model.widht": [8]}}, "model.widht", "did you mean 'model.width'?"),
    row("unknown setting under a label", base() | {"grid": {"arm": {"a": {"n_futrue": 1}}}}, "did you mean 'n_future'?"),
    row("unknown task", base(task="inductoin"), "did you mean 'induction'?"),
    row("no task", {"base": {"steps": 5}, "grid": {"n_future": [1]}}, "task is missing"),
    row("no base", {"grid": {"n_future": [1]}}, "base is missing"),
    row("nothing varies", {"base": BASE}, "either a grid or a search"),
    row("grid and search", base() | SEARCH, "either a grid or a search"),
    row("empty grid", base() | {"grid": {}}, "grid must name a setting and its values"),
    row("empty search", searched(search={}), "search must name a setting and its values"),
    row("no values", base() | {"grid": {"n_future": []}}, "grid.n_future", "has no values"),
    row("no labels", base() | {"grid": {"arm": {}}}, "grid.arm", "has no values"),
    row("a value twice", base() | {"grid": {"n_future": [1, 1]}}, "grid.n_future", "twice"),
    row("labels without settings", base() | {"grid": {"arm": {"a": 1}}}, "grid.arm", "each label needs the settings"),
    row("a value that no cell can have", base() | {"grid": {"n_future": [1, 9]}}, "n_future must be at most 3, not 9"),
    row("a value of another kind", base() | {"grid": {"n_future": [1, "two"]}}, "n_future must be a whole number, not 'two'"),
    row("range upside down", searched(search={"steps": {"kind": "int", "low": 9, "high": 5}}), "low must be below high"),
    row("range of nothing", searched(search={"steps": {"kind": "int", "low": 5, "high": 6, "step": 3}}), "low must be below high"),
    row("log scale from 0", searched(search={"optimiser.peak_lr": {"kind": "log", "low": 0, "high": 1}}), "above 0"),
    row("unknown kind of range", searched(search={"steps": {"kind": "itn", "low": 5, "high": 9}}), "kind must be one of", "'itn'"),
    row("range that is a list", searched(search={"steps": [5, 9]}), "search.steps must be a mapping of settings, not [5, 9]"),
    row("range beyond what can be", searched(search={"steps": {"kind": "int", "low": -2, "high": 9}}), "steps must be at least 1"),
    row("search without end", searched(budget={}), "budget.trials or budget.seconds is missing"),
    row("budget of nothing", searched(budget={"trials": 0}), "budget.trials must be at least 1, not 0"),
    row("budget for a grid", base() | {"budget": {"trials": 5}}, "budget.trials is for a search"),
    row("sampler for a grid", base() | {"sampler": "tpe"}, "sampler is for a search"),
    row("unknown sampler", searched(sampler="tpx"), "sampler.kind must be one of", "'tpx'"),
    row("unknown pruner", searched(pruner="mediam"), "pruner.kind must be one of median, hyperband, not 'mediam'"),
    row("seed in the base", base(seed=3), "seed cannot be set or varied", "seeds"),
    row("seed as an axis", base() | {"grid": {"seed": [1, 2]}}, "seed cannot be set or varied"),
    row("no seeds", base() | {"seeds": 0}, "seeds must be a number above 0"),
    row("fraction of seeds", base() | {"seeds": 2.5}, "seeds must be a list, not 2.5"),
    row("name that is a path", base() | {"name": "a/b"}, "name must be a text that matches", "not 'a/b'"),
    row("rate that is no number", base() | {"grid": {"optimiser.peak_lr": [1e-3, float("nan")]}}, "optimiser.peak_lr: states a number that is not finite"),
    row("task by both names", base(**{"task.name": "star"}), "task is given twice"),
    row("seeds from high to low", base() | {"seeds": "5:1"}, "seeds must be A:B with A < B, not '5:1'"),
    row("more seeds than fit in memory", base() | {"seeds": 99999999999}, "seeds must be at most 10000 numbers"),
    row("a seed twice", base() | {"seeds": [1, 1]}, "seeds must be"),
    row("more devices", base(accelerator="auto", devices=2), "devices must be 1 in a sweep, not 2"),
    row("unknown metric", base() | {"metrics": {"accuracy/cpy/1": "maximise"}}, "did you mean 'accuracy/copy/1'?"),
    row("metric of a missing head", base() | {"metrics": {"loss/all/2": "minimise"}}, "'loss/all/2' is not reported at n_future 1"),
    row("unknown direction", base() | {"metrics": {"loss/all/1": "down"}}, "metrics.loss/all/1 must be one of"),
    row("two metrics of a grid", base() | {"metrics": {"icl": "minimise", "seconds": "minimise"}}, "metrics of a grid must be one"),
    row(
        "pruner of two metrics",
        searched(metrics={"icl": "minimise", "seconds": "minimise"}, pruner="median"),
        "pruner needs one metric, not 2",
    ),
    row("name that is no name", base() | {"name": "a/b"}, "name must be"),
]  # fmt: skip


def listing(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def refused(arguments: list[str], expected: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    before = listing(Path.cwd())
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1, err
    assert err.startswith("lab: ")
    for words in expected:
        assert words in err
    assert listing(Path.cwd()) == before, "something was written"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("description", "expected"), WRONG)
def test_a_wrong_sweep_is_named_in_one_line(
    description: dict[str, Any], expected: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("s.yaml").write_text(yaml.safe_dump(description))
    refused(["sweep", "s.yaml"], ("s.yaml: ", *expected), capsys)


def test_a_file_that_is_no_sweep_is_named_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    refused(["sweep", "gone.yaml"], ("gone.yaml: No such file",), capsys)
    Path("s.yaml").write_text("base: [1\n")
    refused(["sweep", "s.yaml"], ("s.yaml, line", "not YAML"), capsys)
    Path("s.yaml").write_text("- 1\n")
    refused(["sweep", "s.yaml"], ("s.yaml: must be a mapping",), capsys)
    refused(["sweep"], ("required: file",), capsys)
    refused(["sweep", "s.yaml", "--workers", "0"], ("--workers must be at least 1, not 0",), capsys)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///x.db", "storage must be postgresql://..., not 'sqlite:///x.db'"),
        ("nonsense", "storage must be"),
        ("postgresql://me:secret@127.0.0.1:1/none", "storage postgresql://me:***@127.0.0.1:1/none cannot be reached: "),
    ],
)
def test_a_storage_that_cannot_be_reached_is_named_without_its_password(
    url: str, expected: str, grid: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("s.yaml").write_text(yaml.safe_dump(grid()))
    refused(["sweep", "s.yaml", "--storage", url], (expected,), capsys)


def test_a_storage_of_another_study_is_refused(grid: Make, capsys: pytest.CaptureFixture[str]) -> None:
    begun(grid(seeds=3), Path("out"))
    Path("s.yaml").write_text(yaml.safe_dump(grid()))
    refused(["sweep", "s.yaml", "--out", "out"], ("out: holds a study 'tiny' with other settings",), capsys)


def test_a_folder_that_holds_something_else_is_refused(grid: Make, capsys: pytest.CaptureFixture[str]) -> None:
    Path("s.yaml").write_text(yaml.safe_dump(grid()))
    Path("file").write_text("mine")
    refused(["sweep", "s.yaml", "--out", "file"], ("file: is not a folder",), capsys)
    Path("out/n1-seed0").mkdir(parents=True)
    refused(["sweep", "s.yaml", "--out", "out"], ("out/n1-seed0: exists already and is no run",), capsys)
    Path("other").mkdir()
    Path("other/sweep.yaml").write_text("of a sweep whose journal is somewhere else")
    refused(
        ["sweep", "s.yaml", "--out", "other"],
        ("other: holds a sweep whose study is not in other; choose another --out",),
        capsys,
    )
