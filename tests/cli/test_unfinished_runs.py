"""Runs that have just begun, were killed or cannot be read are named, and do not change the figures of other runs."""

import json
from pathlib import Path

import pandas as pd
import pytest

import lab
from lab import plots
from lab.cli.main import main
from tests.helpers.runs import make_run

METRIC = "accuracy/copy/1"


@pytest.fixture(autouse=True)
def runs() -> None:
    """Write three finished seeds, and one that was stopped at step 5."""
    for seed in range(4):
        write_run(f"runs/seed{seed}", seed, [0, 5] if seed == 3 else [0, 5, *range(20, 401, 20)])
    record = json.loads(Path("runs/seed3/run.json").read_text())
    Path("runs/seed3/run.json").write_text(json.dumps(record | {"state": "stopped"}))


def write_run(path: str, seed: int, steps: list[int], **settings: int) -> None:
    experiment = lab.experiment("induction", {"steps": 400, "seed": seed, **settings})
    make_run(Path(path), experiment, {step: {METRIC: 0.001 * step + 0.01 * seed} for step in steps})


def test_a_new_run_does_not_shorten_the_curves(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", "emergence", "runs", "-o", "a.png"]) == 0
    table = pd.read_csv("a.csv")
    assert table["step"].tolist() == [0, 5, *range(20, 401, 20)]
    assert table["seeds"].tolist() == [4, 4, *[3] * 20]
    assert set(table["condition_seeds"]) == {4}


@pytest.mark.parametrize("figure", ["grid", "size"])
def test_end_values_are_of_finished_runs(figure: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", figure, "runs", "-o", "a.png"]) == 0
    row = pd.read_csv("a.csv").iloc[0]
    assert row["mean"] == pytest.approx(0.41)
    assert row["seeds"] == 3
    assert capsys.readouterr().err == "lab: 1 of 4 runs left out: seed3 (stopped at step 5)\n"


def test_survival_names_censored_runs() -> None:
    runs = lab.frame(lab.open_runs(["runs"]))
    figure, table = plots.survival(runs, METRIC, threshold=0.2)
    assert table["runs"].max() == 4
    assert "not finished, observed so far: seed3 (stopped at step 5)" in figure.get_suptitle().replace("\n", " ")


def test_runs_of_two_tasks_are_two_conditions(capsys: pytest.CaptureFixture[str]) -> None:
    for task in ("recall", "induction"):
        make_run(Path(f"mixed/{task}"), lab.experiment(task), {step: {"loss/all/1": 1.0} for step in (0, 20)})
    assert main(["plot", "emergence", "mixed", "-o", "a.png"]) == 2
    assert "choose one as metric" in capsys.readouterr().err
    assert main(["plot", "emergence", "mixed", "-o", "a.png", "--metric", "loss/all/1"]) == 0
    assert set(pd.read_csv("a.csv")["condition"]) == {"induction", "recall"}


def test_unfinished_runs_alone_are_rejected_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", "grid", "runs/seed3", "-o", "a.png"]) == 2
    assert capsys.readouterr().err == "lab: no run is finished: 1 of 1 runs left out: seed3 (stopped at step 5)\n"
    write_run("begun/seed0", 0, [0])
    assert main(["plot", "emergence", "begun", "-o", "a.png"]) == 2
    assert capsys.readouterr().err == "lab: no run has an evaluation after step 0 yet\n"


def test_an_unreadable_run_does_not_hide_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs/odd").mkdir()
    Path("runs/odd/run.json").write_text("{}")
    Path("runs/seed2/metrics.csv").unlink()
    assert main(["plot", "grid", "runs", "-o", "a.png"]) == 0
    assert pd.read_csv("a.csv")["seeds"].tolist() == [2]
    assert capsys.readouterr().err.splitlines()[:2] == [
        "lab: left out: runs/odd/run.json: not the record of a run",
        "lab: left out: runs/seed2/metrics.csv: missing or empty, though the run is finished",
    ]
    Path("runs/seed1/metrics.csv").write_text("no table\n")
    assert main(["runs"]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["run", "runs/odd", *(f"runs/seed{seed}" for seed in range(4))]
    assert "runs/odd" in err
    assert "runs/seed1/metrics.csv" in err


def test_conditions_are_labelled_by_the_varied_setting(capsys: pytest.CaptureFixture[str]) -> None:
    for width in (32, 48):
        for seed in (0, 1):
            write_run(f"grid/w{width}/seed{seed}", seed, [0, 20, 40], **{"model.width": width})
    for by in ([], ["--by", "width"]):
        assert main(["plot", "emergence", "grid", "-o", "a.png", *by]) == 0
        table = pd.read_csv("a.csv")
        assert set(table["condition"]) == {"width = 32", "width = 48"}
        assert set(table["seeds"]) == {2}
    capsys.readouterr()
    for by in ("n_future", "seed"):
        assert main(["plot", "emergence", "grid", "-o", "b.png", "--by", by]) == 2
        assert "differ in model.width and not in the seed alone" in capsys.readouterr().err
    assert not Path("b.png").exists()
