"""A sweep from its description to its results, with a worker in this process."""

import gc
import shutil
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

import lab
from lab.errors import LabError
from lab.sweeping.prepare import prepare
from lab.sweeping.results import collect
from lab.sweeping.spec.plan import measure_pace
from lab.sweeping.study.study import open_study, plan_retries, set_up
from lab.sweeping.workers import worker
from lab.training.loggers import LOGGERS
from tests.helpers.loggers import Plain, read_plain
from tests.helpers.sweeps import SHORT, grid, numbers, run_worker, search, set_up_sweep

pytestmark = pytest.mark.process  # seconds each


def test_runs_of_a_grid_equal_single_runs(tmp_path: Path) -> None:
    run_worker(set_up_sweep(grid(SHORT), tmp_path / "out"))
    for n in (1, 2):
        for seed in (0, 1):
            run = lab.Run(tmp_path / f"out/n{n}-seed{seed}")
            assert run.state == "finished"
            lab.train(run.experiment, tmp_path / f"alone/n{n}-seed{seed}")
    assert numbers(tmp_path / "out") == numbers(tmp_path / "alone")


def test_each_run_logs_where_the_sweep_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOGGERS, "plain", Plain)
    job = prepare(grid(SHORT, grid={"n_future": [1]}), tmp_path / "out", loggers=["plain"]).job
    set_up(job)
    run_worker(job)
    for seed in (0, 1):
        run = lab.Run(tmp_path / f"out/n1-seed{seed}")
        series, _ = read_plain(run)
        for name, points in series.items():
            assert [value for _, value in points] == [row.value for row in run.metrics() if row.metric == name]
        assert len(series["loss/all/1"]) == 2


def test_results_and_frame_cover_every_run(tmp_path: Path) -> None:
    sizes = {"small": {"model.width": 8}, "large": {"model.width": 16}}
    job = set_up_sweep(grid(SHORT, grid={"size": sizes}), tmp_path)
    assert collect(job).sentence() == "4 runs of 2 configurations: 4 waiting"
    run_worker(job)
    found = collect(job)
    assert found.sentence() == "4 runs of 2 configurations: 4 finished"
    assert found.missing() == []
    assert found.runs["trial"].tolist() == list(range(4))
    (metric,) = job.sweep.metrics
    for row in found.runs.to_dict("records"):
        values = [point.value for point in lab.Run(tmp_path / row["run"]).metrics() if point.metric == metric]
        assert row[metric] == values[-1]
    frame = found.frame()
    assert set(frame["size"]) == {"small", "large"}
    assert set(frame["state"]) == {"finished"}
    assert frame.groupby("run")["trial"].nunique().tolist() == [1] * 4
    assert found.configurations()["seeds"].tolist() == ["2 of 2"] * 2
    found.write()
    assert {"runs.csv", "frame.csv", "sweep.yaml", "study.journal"} <= {path.name for path in tmp_path.iterdir()}
    (tmp_path / found.runs["run"][0] / "run.json").write_text("{}")
    assert found.frame()["run"].nunique() == 3, "an unreadable run does not hide the others"


def test_the_frame_of_a_search_that_has_not_begun_is_empty(tmp_path: Path) -> None:
    assert collect(set_up_sweep(search(), tmp_path)).frame().empty


def test_failures_are_recorded_and_the_rest_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configurations fail if their settings contradict each other, if they diverge, or if memory runs out."""
    usual = worker.train

    def train(experiment: lab.Experiment, path: Path, **options: Any) -> lab.Run:
        if experiment.model.width == 16:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 EB\nsome trace")
        return usual(experiment, path, **options)

    monkeypatch.setattr(worker, "train", train)
    labels = {
        "fine": {"n_future": 1}, "gap": {"n_future": 4}, "wild": {"optimiser.peak_lr": 1e30, "optimiser.clip_norm": None},
        "huge": {"model.width": 16},
    }  # fmt: skip
    job = set_up_sweep(grid(SHORT, grid={"arm": labels, "model.layers": [4, 5]}, seeds=1), tmp_path)
    assert len([update for update in run_worker(job) if update.ended is not None]) == 8
    found = collect(job)
    states = found.runs.set_index("run")["state"].to_dict()
    assert states == {
        "fine-layers4-seed0": "finished", "fine-layers5-seed0": "finished", "gap-layers4-seed0": "failed",
        "gap-layers5-seed0": "finished", "wild-layers4-seed0": "diverged", "wild-layers5-seed0": "diverged",
        "huge-layers4-seed0": "failed", "huge-layers5-seed0": "failed",
    }  # fmt: skip
    missing = dict(line.split(": ", 1) for line in found.missing())
    assert "n_future must be at most 3, not 4" in missing["gap-layers4-seed0"]
    assert "diverged at step 2" in missing["wild-layers4-seed0"]
    assert missing["huge-layers4-seed0"].endswith("can't allocate memory: you tried to allocate 1 EB")
    assert lab.Run(tmp_path / "wild-layers4-seed0").state == "diverged"
    kept = {name for name, state in states.items() if state in ("finished", "diverged")}
    assert {run.name for run in lab.open_runs([tmp_path])} == kept


def test_all_runs_may_include_diverged_ones(tmp_path: Path) -> None:
    wild = {"fine": {}, "wild": {"optimiser.peak_lr": 1e30, "optimiser.clip_norm": None}}
    job = set_up_sweep(grid(SHORT, grid={"arm": wild}, seeds=1), tmp_path)
    run_worker(job)
    with pytest.raises(LabError, match=r"wild-seed0: diverged: .* at step 2"):
        collect(job).complete()
    assert [run.state for run in collect(job).complete(diverged=True)] == ["finished", "diverged"]
    shutil.rmtree(tmp_path / "fine-seed0")
    with pytest.raises(LabError, match="fine-seed0: missing"):
        collect(job).complete(diverged=True)


def test_failed_runs_are_retried_on_request_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(worker, "train", lambda *_, **__: 1 / 0)
        job = set_up_sweep(grid(SHORT, seeds=1), tmp_path / "out")
        run_worker(job)
    study = open_study(job)
    assert collect(job).missing() == [f"n{n}-seed0: failed: ZeroDivisionError: division by zero" for n in (1, 2)]
    plan_retries(job, study, retry_failed=False)
    assert run_worker(job) == []
    plan_retries(job, study, retry_failed=True)
    plan_retries(job, study, retry_failed=True)  # a second request before the retry has no further effect
    run_worker(job)
    assert collect(job).sentence() == "2 runs of 2 configurations: 2 finished"
    assert [trial.state for trial in study.trials] == [TrialState.FAIL] * 2 + [TrialState.COMPLETE] * 2
    before = numbers(tmp_path / "out")
    shutil.rmtree(tmp_path / "out/n2-seed0")
    assert collect(job).missing() == ["n2-seed0: missing: its folder is gone"]
    plan_retries(job, study, retry_failed=False)
    run_worker(job)
    assert numbers(tmp_path / "out") == before


def test_a_search_scores_the_mean_over_seeds(tmp_path: Path) -> None:
    job = set_up_sweep(search(SHORT, seeds=2, budget={"trials": 2}), tmp_path)
    run_worker(job)
    study = open_study(job)
    assert len(study.trials) == 2
    for trial in study.trials:
        ends = []
        for seed in (0, 1):
            run = lab.Run(tmp_path / f"trial{trial.number:04d}-seed{seed}")
            assert run.experiment.optimiser.peak_lr == trial.params["optimiser.peak_lr"]
            assert run.experiment.seed == seed
            ends.append([row.value for row in run.metrics() if row.metric == "loss/all/1"][-1])
        assert trial.value == pytest.approx(sum(ends) / 2)
    assert study.direction.name == "MINIMIZE"
    assert collect(job).configurations()["seeds"].tolist() == ["2 of 2"] * 2


def test_collections_skip_what_was_there_before_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frozen: list[int] = []

    def train(*_: Any, **__: Any) -> None:
        frozen.append(gc.get_freeze_count())
        raise RuntimeError

    monkeypatch.setattr(worker, "train", train)
    run_worker(set_up_sweep(grid(seeds=1), tmp_path))
    assert len(frozen) == 2
    assert min(frozen) > 1000
    assert gc.get_freeze_count() == 0


def test_training_time_can_be_the_budget(tmp_path: Path) -> None:
    job = set_up_sweep(search(SHORT, budget={"seconds": 1e-9}), tmp_path)
    run_worker(job)
    assert len(open_study(job).trials) == 1


def test_rule_best_takes_the_best_evaluation(tmp_path: Path) -> None:
    rises = {"optimiser.peak_lr": 1.0, "schedule.warmup_steps": 0}
    description = grid(SHORT | rises, grid={"n_future": [1]}, seeds=1, rule="best", metrics={"loss/all/1": "minimise"})
    job = set_up_sweep(description, tmp_path)
    run_worker(job)
    (trial,) = open_study(job).trials
    losses = [row.value for row in lab.Run(tmp_path / "n1-seed0").metrics() if row.metric == "loss/all/1"]
    assert trial.value == min(losses) < losses[-1]


def test_preparing_a_sweep_writes_nothing(tmp_path: Path) -> None:
    prepare(grid(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_runs_at_equal_flops_resume(tmp_path: Path) -> None:
    description = grid(SHORT | {"steps": 12, "evaluation.every": 12, "model.matched": "flops"}, seeds=1)
    experiments = [experiment for _, experiment in prepare(description, tmp_path / "out").checked.possible]
    assert len({experiment.steps for experiment in experiments}) > 1
    assert {experiment.budget.steps for experiment in experiments} == {experiments[0].budget.steps}
    assert measure_pace(experiments[-1]).step > 0
    job = set_up_sweep(description, tmp_path / "out")
    run_worker(job)
    before = numbers(tmp_path / "out")
    run_worker(set_up_sweep(description, tmp_path / "out"))
    assert numbers(tmp_path / "out") == before != {}
