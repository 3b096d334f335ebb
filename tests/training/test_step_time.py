"""Equal wall time: the ratio of step times is measured once and recorded."""

from pathlib import Path
from typing import Any

import pytest

import lab
from lab.config import Experiment, load
from lab.errors import LabError
from lab.training import step_time, with_step_time
from lab.training.module import TrainingModule
from lab.training.step_time import seconds_per_step
from tests.helpers.tiny import tiny


def test_steps_with_more_layers_take_more_time() -> None:
    """A trunk of one layer with six heads has 7 layers, with one head 2."""
    experiment = tiny(model__width=64, model__layers=2, model__matched="time", n_future=6, batch_size=32)
    assert 1.3 < step_time.step_time(experiment, rounds=3) < 7


def test_the_ratio_is_a_median_of_interleaved_timings(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([3.0, 2.0, 40.0, 20.0, 4.0, 2.0, 9.0, 10.0, 2.4, 2.0, 6.0, 3.0, 5.0, 4.0])
    timed: list[Experiment] = []
    monkeypatch.setattr(step_time, "seconds_per_step", lambda module: (timed.append(module.experiment), next(clock))[1])
    unresolved = tiny(model__matched="time", n_future=2, objective__active="up", objective__extra_weight=0.5)
    resolved = with_step_time(unresolved)
    assert resolved.budget.step_time == 1.5, "the median of 1.5, 2, 2, 0.9, 1.2, 2, 1.25"
    assert (resolved.budget.steps, resolved.steps) == (12, 8)
    assert [each.n_future for each in timed] == [2, 1] * 7
    assert {each.trunk_layers for each in timed} == {unresolved.trunk_layers}
    assert timed[0].objective.extra_weight == 0.5
    assert timed[1].objective == lab.experiment("induction").objective


def test_stages_and_an_early_end_do_not_prevent_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first stage of 2 % of the steps would have none of the few that are timed; n = 1 has no loss of head 2."""
    monkeypatch.setattr(step_time, "seconds_per_step", lambda module: float(module.experiment.n_future))
    stages = [{"until": 0.02, "start": [1, 0]}, {"until": 1, "start": [1, 1]}]
    changes: dict[str, Any] = {"steps": 100, "objective__stages": stages, "evaluation__stop__metric": "loss/all/2"}
    unresolved = tiny(model__matched="time", n_future=2, **changes)
    resolved = with_step_time(unresolved)
    assert (resolved.budget.step_time, resolved.steps) == (2, 50)
    assert (resolved.objective, resolved.evaluation.stop) == (unresolved.objective, unresolved.evaluation.stop)


def test_a_run_at_equal_time_resumes_without_measuring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_time, "seconds_per_step", lambda module: float(module.experiment.n_future + 1))
    run = lab.train(with_step_time(tiny(model__matched="time", n_future=2)), tmp_path / "run")
    assert run.experiment == load(run.path / "experiment.yaml")
    assert (run.experiment.steps, run.experiment.budget.step_time) == (8, 1.5)
    assert max(row.step for row in run.metrics()) == 8
    resolved = tiny(model__matched="time", n_future=2, budget__step_time=1.5)
    again = lab.train(resolved, tmp_path / "again")
    assert again.experiment == run.experiment
    assert again.metrics() == run.metrics()


def test_training_resolves_an_unresolved_experiment(tmp_path: Path) -> None:
    run = lab.train(tiny(model__matched="flops", n_future=2), tmp_path / "run")
    assert run.experiment == lab.resolve(tiny(model__matched="flops", n_future=2))
    assert max(row.step for row in run.metrics()) == run.experiment.steps < 12
    spent = run.frame()["flops"].max()
    assert spent == run.experiment.steps * run.experiment.flops_per_step <= 12 * tiny(n_future=1).flops_per_step


def test_steps_that_cannot_be_timed_are_rejected() -> None:
    with pytest.raises(LabError, match=r"budget\.step_time must be given with devices = 2"):
        with_step_time(tiny(model__matched="time", n_future=2, devices=2))
    assert with_step_time(tiny(model__matched="time", n_future=1)).steps == 12
    assert with_step_time(tiny(n_future=2)) == tiny(n_future=2)


def test_timing_a_step_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert 0 < seconds_per_step(TrainingModule(tiny(schedule__warmup_steps=0))) < 5
    assert not list(tmp_path.iterdir())
