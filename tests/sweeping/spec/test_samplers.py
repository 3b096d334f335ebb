"""Searches: reopening the study does not change the configurations; bad configurations are pruned."""

import math
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

import lab
from lab.sweeping.results import collect
from lab.sweeping.spec import spaces
from lab.sweeping.spec.configurations import trial_experiments
from lab.sweeping.study import claims
from lab.sweeping.study.claims import claim
from lab.sweeping.study.study import open_study
from lab.sweeping.workers import worker
from tests.helpers.sweeps import SHORT, run_worker, search, set_up_sweep

pytestmark = pytest.mark.process  # seconds each

SAMPLERS: list[dict[str, Any]] = [
    {"kind": "random"},
    {"kind": "tpe", "startup_trials": 2},
    {"kind": "gp", "startup_trials": 2},
    {"kind": "nsga2", "population": 3},
]
EVERY = pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler["kind"])


class Lost(Exception):
    """The loss of a worker."""


def run_search(description: dict[str, Any], out: Path, trials: int, *, reopen: bool) -> list[dict[str, Any]]:
    """Run a search with known values and return the parameters of its trials; `reopen` the study before each trial."""
    job = set_up_sweep(description, out)
    study = open_study(job)
    for _ in range(trials):
        study = open_study(job) if reopen else study
        claimed = claim(job, study)
        assert claimed is not None
        rate, width = claimed.trial.params["optimiser.peak_lr"], claimed.trial.params["model.width"]
        values = [(math.log10(rate) + 2) ** 2, float(width)][: len(job.sweep.metrics)]
        study.tell(claimed.trial, values)
        claimed.lease.release()
    return [trial.params for trial in study.trials]


@EVERY
def test_a_reopened_study_samples_the_same_configurations(sampler: dict[str, Any], tmp_path: Path) -> None:
    description = search(sampler=sampler, budget={"trials": 20})
    once, again = (run_search(description, tmp_path / str(reopen), 8, reopen=reopen) for reopen in (False, True))
    assert once == again
    assert len({parameters["optimiser.peak_lr"] for parameters in once}) >= 4
    other = search(sampler=sampler | {"seed": 1}, budget={"trials": 20})
    assert run_search(other, tmp_path / "other", 3, reopen=False) != once[:3]


@EVERY
def test_a_lost_worker_between_two_parameters_changes_no_sample(
    sampler: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    description = search(sampler=sampler, budget={"trials": 20})
    whole = run_search(description, tmp_path / "whole", 8, reopen=True)
    job = set_up_sweep(description, tmp_path / "lost")
    usual, usual_ask, lost = spaces.Int.suggest, claims.ask, list[int]()

    def suggest(self: spaces.Int, trial: optuna.Trial, name: str) -> None:
        if trial.number not in lost:
            lost.append(trial.number)
            raise Lost
        usual(self, trial, name)

    def ask(study: optuna.Study, sweep: Any, _: object) -> optuna.Trial:
        """Lose a trial after its first parameter, and continue it as another worker does."""
        with pytest.raises(Lost):
            usual_ask(study, sweep, None)
        return usual_ask(open_study(job), sweep, study.trials[-1]._trial_id)

    monkeypatch.setattr(spaces.Int, "suggest", suggest)
    monkeypatch.setattr(claims, "ask", ask)
    assert run_search(description, tmp_path / "lost", 8, reopen=True) == whole
    assert lost == list(range(8))


def test_tpe_learns_and_random_search_does_not(tmp_path: Path) -> None:
    """Of 30 configurations, the last ten of TPE are nearer to the optimum of a quadratic than those of random search."""
    distances = {}
    for sampler in ("random", "tpe"):
        trials = run_search(search(sampler=sampler, budget={"trials": 30}), tmp_path / sampler, 30, reopen=True)
        distances[sampler] = sorted(abs(math.log10(parameters["optimiser.peak_lr"]) + 2) for parameters in trials[-10:])[5]
    assert distances["tpe"] < distances["random"] / 2


def test_several_metrics_make_a_front(tmp_path: Path) -> None:
    wanted = {"loss/all/1": "minimise", "parameters": "minimise"}
    job = set_up_sweep(search(SHORT, metrics=wanted, sampler=None, budget={"trials": 2}), tmp_path)
    run_worker(job)
    study = open_study(job)
    assert [direction.name for direction in study.directions] == ["MINIMIZE", "MINIMIZE"]
    for trial in study.trials:
        run = lab.Run(tmp_path / f"trial{trial.number:04d}-seed0")
        assert trial.values[1] == run.record["non_embedding_parameters"]
    assert study.best_trials
    assert set(collect(job).configurations()) >= {"loss/all/1", "parameters", "seeds"}


@pytest.mark.parametrize(
    ("pruner", "kept"),
    [({"kind": "median", "startup_trials": 2, "warmup_steps": 1}, 2), ({"kind": "hyperband", "min_steps": 1}, 1)],
    ids=["median", "hyperband"],
)
def test_pruned_configurations_are_marked_and_left_out(
    pruner: dict[str, Any], kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After two good configurations come bad ones: the good ones are trained to the end, some of the bad ones are pruned."""
    usual = worker.Watch.measured

    def measured(self: Any, step: int, values: Any) -> None:
        usual(self, step, values | {"loss/all/1": 1.0 + self._trial.number - step / 1000})

    monkeypatch.setattr(worker.Watch, "measured", measured)
    job = set_up_sweep(search(SHORT | {"steps": 4, "evaluation.every": 1}, pruner=pruner, budget={"trials": 6}), tmp_path)
    run_worker(job)
    study = open_study(job)
    states = [trial.state for trial in study.trials]
    assert states[:kept] == [TrialState.COMPLETE] * kept
    pruned = [trial.number for trial in study.trials if trial.state is TrialState.PRUNED]
    assert len(pruned) >= 2
    found = collect(job)
    assert found.runs.loc[found.runs["state"] == "pruned", "trial"].tolist() == pruned
    assert found.runs.loc[found.runs["state"] == "pruned", "loss/all/1"].isna().all()
    assert [line for line in found.missing() if "pruned" in line] == [f"trial{number:04d}-seed0: pruned" for number in pruned]
    table = found.configurations().set_index("trial")
    assert table.loc[pruned, "seeds"].tolist() == ["0 of 1"] * len(pruned)
    assert table.loc[pruned, "loss/all/1"].tolist() == ["-"] * len(pruned)
    for number in pruned:
        run = lab.Run(tmp_path / f"trial{number:04d}-seed0")
        assert run.state == "pruned"
        assert run.metrics()[-1].step < 4
    assert {run.name for run in lab.open_runs([tmp_path])} == set(found.runs.loc[found.runs["state"] == "finished", "run"])
    frame = found.frame()
    assert set(frame.loc[frame["state"] == "pruned", "trial"]) == set(pruned)


def test_evaluation_points_continue_through_seeds(tmp_path: Path) -> None:
    job = set_up_sweep(search(SHORT, pruner="median", seeds=2, budget={"trials": 1}), tmp_path)
    run_worker(job)
    (trial,) = open_study(job).trials
    assert sorted(trial.intermediate_values) == [0, 2, 4]
    first, second = (
        {row.step: row.value for row in lab.Run(tmp_path / f"trial0000-seed{seed}").metrics() if row.metric == "loss/all/1"}
        for seed in (0, 1)
    )
    assert trial.intermediate_values[2] == first[2]
    assert trial.intermediate_values[4] == second[2]


def test_samples_are_within_their_ranges(tmp_path: Path) -> None:
    job = set_up_sweep(search(budget={"trials": 12}), tmp_path)
    study = open_study(job)
    for _ in range(12):
        claimed = claim(job, study)
        assert claimed is not None
        (experiment,) = trial_experiments(job.sweep, claimed.trial.params)
        assert 1e-4 <= experiment.optimiser.peak_lr <= 1e-1
        assert experiment.model.width in (8, 16)
        study.tell(claimed.trial, state=TrialState.FAIL)
        claimed.lease.release()
    assert claim(job, study) is None
