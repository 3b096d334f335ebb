"""The commands: plan, start, show, dashboard."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import lab
from lab.cli.main import main
from lab.sweeping import look
from lab.sweeping.prepare import prepare
from lab.sweeping.study import dashboard
from tests.helpers.sweeps import SHORT, grid, run_worker, search, set_up_sweep

pytestmark = pytest.mark.process  # seconds each


@pytest.fixture(autouse=True)
def change_to_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_plan_counts_runs_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Path("s.yaml").write_text(yaml.safe_dump(grid(grid={"n_future": [1, 3], "model.layers": [3, 4]}, seeds=5)))
    assert main(["sweep", "s.yaml", "--plan", "--workers", "2"]) == 0
    out = capsys.readouterr().out
    assert "20 runs: 4 configurations x 5 seeds" in out
    assert re.search(r"about \S+ \w+ with 2 workers", out)
    assert "1 configuration cannot be trained" in out
    (flops,) = re.findall(r"(\S+) training FLOPs", out)
    possible = [each for _, each in prepare("s.yaml").checked.possible]
    assert float(flops) == pytest.approx(5 * sum(each.flops_per_step * each.steps for each in possible), rel=0.05)
    assert [path.name for path in Path.cwd().iterdir()] == ["s.yaml"]


def test_a_plan_of_runs_that_may_end_early_is_an_upper_bound(tmp_path: Path) -> None:
    stop = {"metric": "loss/all/1", "threshold": 1.0}
    always, early = (prepare(grid(base={"evaluation": {"stop": each}}), tmp_path).plan() for each in ({}, stop))
    assert "at most" not in always.text(1)
    assert re.search(r"\nat most about \S+ \w+ with 1 worker .*\nat most \S+ training FLOPs", early.text(1))


def test_a_plan_compiles_nothing_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.compile", None)  # a call is an error
    plain, compiled = (prepare(grid(base={"compile": each}), tmp_path).plan() for each in ("none", "default"))
    assert "estimated from 8 steps)" in plain.text(1)
    assert "estimated from 8 steps that are not compiled)" in compiled.text(1)


def test_the_time_of_runs_that_end_at_once_is_planned(tmp_path: Path) -> None:
    """The initial loss is below the threshold already, as in fine-tuning of a run that has reached it."""
    stop = {"metric": "loss/all/1", "threshold": 1000.0, "hold": 1}
    assert prepare(grid(base={"evaluation": {"stop": stop}}), tmp_path).plan().seconds


def test_stages_shorter_than_a_measured_step_are_planned(tmp_path: Path) -> None:
    stages = [{"until": 0.02, "start": [1, 0]}, {"until": 1, "start": [1, 1]}]
    described = grid({"steps": 100, "objective.stages": stages}, grid={"n_future": [2]})
    assert prepare(described, tmp_path).plan().seconds


def test_the_planned_time_agrees_with_a_run(tmp_path: Path) -> None:
    """They agree within a factor of six, since the machine may be busy; the estimate is from 8 steps, the run has 120."""
    width = {"model.width": {"kind": "int", "low": 8, "high": 16, "step": 8}}
    description = search({"steps": 120, "evaluation.every": 40}, budget={"trials": 1}, search=width)
    expected = prepare(description, tmp_path / "out").plan()
    assert (expected.runs, expected.configurations) == (1, 1)
    assert expected.seconds is not None
    job = set_up_sweep(description, tmp_path / "out")
    run_worker(job)
    (run,) = lab.open_runs([tmp_path / "out"])
    assert expected.seconds / 6 < run.record["wall_seconds"] < 6 * expected.seconds


def test_a_sweep_is_started_shown_and_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    Path("s.yaml").write_text(yaml.safe_dump(grid(SHORT, name="s", seeds=1)))
    assert main(["sweep", "show", "s.yaml"]) == 2
    assert "runs/s: holds no study 's'; start it first" in capsys.readouterr().err
    assert not Path("runs").exists()
    assert main(["sweep", "s.yaml", "--workers", "1"]) == 0
    out = capsys.readouterr().out
    assert "2 runs of 2 configurations: 2 finished" in out
    assert "1/2" in out
    frame = pd.read_csv("runs/s/frame.csv")
    assert set(frame["run"]) == {"n1-seed0", "n2-seed0"}
    before = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("model.safetensors")}
    assert main(["sweep", "s.yaml"]) == 0
    assert main(["sweep", "show", "s.yaml"]) == 0
    assert capsys.readouterr().out.count("2 runs of 2 configurations: 2 finished") == 2
    assert before == {path: path.stat().st_mtime_ns for path in Path("runs").rglob("model.safetensors")}
    assert look("s.yaml").finished()[0].name == "n1-seed0"


def test_failed_runs_are_counted_and_give_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    wild = {"optimiser.peak_lr": 1e30, "optimiser.clip_norm": None}
    for name, labels in {"all": {"a": wild}, "one": {"a": wild, "b": {"n_future": 1}}}.items():
        Path(f"{name}.yaml").write_text(yaml.safe_dump(grid(SHORT, grid={"rate": labels}, name=name, seeds=1)))
    assert main(["sweep", "all.yaml", "--workers", "1"]) == 1
    out, err = capsys.readouterr()
    assert "  a-seed0: " in out
    assert re.fullmatch(r"lab: 1 of 1 runs \w+\n", err)
    assert main(["sweep", "one.yaml", "--workers", "1"]) == 1
    out, err = capsys.readouterr()
    assert "  a-seed0: " in out
    assert "b-seed0: " not in out
    assert re.fullmatch(r"lab: 1 of 2 runs \w+\n", err)
    assert main(["sweep", "show", "one.yaml"]) == 0


def test_the_dashboard_serves_the_study(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    optuna_dashboard = pytest.importorskip("optuna_dashboard")
    job = set_up_sweep(grid(seeds=1), Path("out"))
    served: list[Any] = []
    monkeypatch.setattr(optuna_dashboard, "run_server", lambda storage, port: served.append((storage, port)))
    dashboard.serve(job, 8123)
    ((storage, port),) = served
    assert [study.study_name for study in storage.get_all_studies()] == ["tiny"]
    assert port == 8123
    assert "http://localhost:8123/dashboard" in capsys.readouterr().out
