"""A run ends once a metric has passed a threshold and held it (`evaluation.stop`)."""

from functools import partial
from pathlib import Path

import pandas as pd
import pytest

import lab
from lab import plots
from lab.cli.main import main
from lab.runs.tables import read_metrics
from lab.runs.writer import Recorder
from lab.stats.emergence import emergence_table
from tests.helpers.frames import synthetic_frame
from tests.helpers.killing import die, kill_in_step, train_killed
from tests.helpers.tiny import tiny, tiny_options

LOSS = "loss/all/1"


def stopping(threshold: float, **changes: object) -> lab.Experiment:
    """Return a tiny experiment that ends at a threshold of the loss."""
    return tiny(**{"evaluation.stop.metric": LOSS, "evaluation.stop.threshold": threshold, **changes})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> lab.Run:
    """Train a run to its last step."""
    return lab.train(tiny(), tmp_path_factory.mktemp("whole") / "run")


def test_a_run_ends_once_the_threshold_is_held(whole: lab.Run, tmp_path: Path) -> None:
    curve = {row.step: row.value for row in whole.metrics() if row.metric == LOSS}
    steps = sorted(curve)
    threshold = max(curve[step] for step in steps[1:3])
    run = lab.train(stopping(threshold), tmp_path / "run")
    assert run.state == "finished"
    assert run.record["last_step"] == steps[2]
    assert run.record["reached"] == f"{LOSS} <= {threshold:g} twice in a row"
    assert run.steps() == [steps[2]]
    assert not list(run.path.glob("checkpoint-*"))
    rows = [row for row in read_metrics(whole.path / "metrics.csv") if row.step <= steps[2]]
    assert run.metrics() == rows
    assert lab.train(stopping(threshold, **{"evaluation.stop.hold": 1}), tmp_path / "once").record["last_step"] == steps[1]


def test_a_threshold_that_is_never_met_changes_nothing(whole: lab.Run, tmp_path: Path) -> None:
    run = lab.train(stopping(0.0), tmp_path / "run")
    assert "reached" not in run.record
    assert run.metrics() == whole.metrics()


def test_points_before_a_resumption_count(tmp_path: Path) -> None:
    experiment = stopping(100.0, **{"evaluation.stop.hold": 3})
    uninterrupted = lab.train(experiment, tmp_path / "straight")
    for step in (2, 5, 8):  # before, at and after the first point that counts
        train_killed(experiment, tmp_path / f"{step}", partial(kill_in_step, number=step))
        resumed = lab.resume(tmp_path / f"{step}")
        assert resumed.record["last_step"] == uninterrupted.record["last_step"] == 9
        assert resumed.metrics() == uninterrupted.metrics()


def test_a_start_from_a_run_that_ended_early_has_its_steps(tmp_path: Path) -> None:
    first = lab.train(stopping(100.0), tmp_path / "first")
    second = lab.train(tiny(init=str(first.path), steps=2, **{"schedule.warmup_steps": 0}), tmp_path / "second")
    assert second.record["init"]["steps"] == first.record["last_step"] == 6


def kill_at_the_end(patch: pytest.MonkeyPatch) -> None:
    """Make training die before it records that the run has reached its threshold."""
    patch.setattr(Recorder, "set_reached", die)


def test_a_kill_at_the_end_changes_nothing(tmp_path: Path) -> None:
    uninterrupted = lab.train(stopping(100.0), tmp_path / "straight")
    train_killed(stopping(100.0), tmp_path / "killed", kill_at_the_end)
    assert "last_step" not in lab.Run(tmp_path / "killed").record
    resumed = lab.resume(tmp_path / "killed")
    assert resumed.record["last_step"] == uninterrupted.record["last_step"]
    assert resumed.metrics() == uninterrupted.metrics()


def test_frames_with_and_without_early_ends_are_joined() -> None:
    frame = synthetic_frame([{"n_future": 1}], lambda _, seed, step: {"accuracy/copy/1": step / 250}, seeds=5)
    early = frame.assign(run="early-" + frame["run"], seed=frame["seed"] + 5, reached="accuracy/copy/1 >= 0.3 once")
    table = emergence_table(pd.concat([frame, early]), "accuracy/copy/1", thresholds={"onset": 0.15})
    assert len(table) == 10
    with pytest.raises(lab.LabError, match="early-0"):
        emergence_table(pd.concat([frame, early]), "accuracy/copy/1", thresholds={"late": 0.5})


def test_an_early_end_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--evaluation.stop.metric", LOSS, "--evaluation.stop.threshold", "100", "--out", str(tmp_path / "run")]
    assert main(["train", "induction", *tiny_options(), *words]) == 0
    assert f"after 6 steps (ended early: {LOSS} <= 100 twice in a row)" in capsys.readouterr().out


def test_wrong_settings_are_rejected() -> None:
    for settings, named in (
        ({"evaluation.stop.metric": "accuracy/copied/1"}, "unknown evaluation.stop.metric 'accuracy/copied/1'; did you mean"),
        ({"evaluation.stop.metric": "accuracy/copy/3"}, "unknown evaluation.stop.metric"),
        ({"evaluation.stop.hold": 0}, "evaluation.stop.hold must be at least 1"),
    ):
        with pytest.raises(lab.LabError, match=named):
            tiny(**settings)
    with pytest.raises(lab.LabError, match=r"evaluation\.stop\.metric must be null"):
        lab.train_ensemble({"a": stopping(1.0, seed=0), "b": stopping(1.0, seed=1)})


def test_a_mean_ends_where_the_first_run_ends() -> None:
    frame = synthetic_frame([{"n_future": 1}], lambda _, seed, step: {"accuracy/copy/1": step / 250}, seeds=5)
    early = frame[(frame["seed"] != 0) | (frame["step"] <= 80)].assign(
        reached=lambda rows: ["accuracy/copy/1 >= 0.3 once" if seed == 0 else "" for seed in rows["seed"]]
    )
    _, whole = plots.emergence(frame, "accuracy/copy/1")
    _, ended = plots.emergence(early, "accuracy/copy/1")
    assert ended["step"].max() < whole["step"].max()
    assert emergence_table(early, "accuracy/copy/1", thresholds={"onset": 0.15})["onset_observed"].all()
    with pytest.raises(lab.LabError, match=r"ended once accuracy/copy/1 >= 0\.3 once"):
        emergence_table(early, "accuracy/copy/1", thresholds={"late": 0.5})
