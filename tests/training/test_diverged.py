"""A run whose loss or gradient is not finite ends as diverged, and its metrics are not numbers."""

import math
from pathlib import Path

import pytest
import torch

import lab
import tasks
from lab.config import Experiment
from lab.errors import Diverged
from lab.evaluation.evaluator import Evaluator
from lab.model import Network, build
from lab.runs.layout import WEIGHTS, checkpoint_name
from tests.helpers.ensembles import SEEDS, ensemble, values
from tests.helpers.tiny import tiny

WILD = {"optimiser__peak_lr": 1e30, "optimiser__clip_norm": None}


def last_values(run: lab.Run) -> list[float]:
    rows = run.metrics()
    return [row.value for row in rows if row.step == rows[-1].step]


def test_a_run_ends_where_its_loss_is_not_finite(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match="run diverged at step 2: a loss or gradient is not finite") as caught:
        lab.train(tiny(**WILD), tmp_path / "run")
    assert caught.value.steps == {tmp_path / "run": 2}
    run = lab.Run(tmp_path / "run")
    assert (run.state, run.record["diverged_step"]) == ("diverged", 2)
    assert run.metrics()[-1].step == 3
    assert all(map(math.isnan, last_values(run)))
    assert not (run.path / WEIGHTS).exists()


def test_a_diverged_run_resumes_from_an_earlier_checkpoint(tmp_path: Path) -> None:
    bad, experiment = 8, tiny()
    whole = lab.train(experiment, tmp_path / "whole")
    usual = torch.optim.AdamW.step

    def break_weights(self: torch.optim.AdamW, *arguments: object, **named: object) -> object:
        found = usual(self, *arguments, **named)
        if int(next(iter(self.state.values()))["step"]) == bad:
            self.param_groups[0]["params"][0].data.fill_(math.nan)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", break_weights)
        with pytest.raises(Diverged, match=f"step {bad + 1}"):
            lab.train(experiment, tmp_path / "run")
        with pytest.raises(Diverged, match=f"step {bad + 1}"):
            lab.resume(tmp_path / "run")
    assert lab.Run(tmp_path / "run").checkpoint() == tmp_path / "run" / checkpoint_name(6)
    assert values(lab.resume(tmp_path / "run")) == values(whole)
    assert "diverged_step" not in lab.Run(tmp_path / "run").record


def test_other_seeds_are_trained_after_one_diverged(tmp_path: Path) -> None:
    runs = {tmp_path / "wild": tiny(**WILD), tmp_path / "fine": tiny()}
    for _ in range(2):  # a diverged run is not trained again, and named again
        with pytest.raises(Diverged) as caught:
            lab.train_each(runs)
        assert caught.value.steps == {tmp_path / "wild": 2}
    assert lab.Run(tmp_path / "fine").state == "finished"


def test_a_diverged_member_does_not_change_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members = ensemble(tiny(), tmp_path / "all")
    healthy = {path: experiment for path, experiment in members.items() if experiment.seed != SEEDS[1]}
    alone = lab.train_ensemble({tmp_path / "sound" / path.name: experiment for path, experiment in healthy.items()})

    def build_with_nan(experiment: Experiment) -> Network:
        network = build(experiment)
        if experiment.seed == SEEDS[1]:
            network.embedding.weight.data.fill_(math.nan)
        return network

    monkeypatch.setattr("lab.training.ensemble.build", build_with_nan)
    with pytest.raises(Diverged) as caught:
        lab.train_ensemble(members)
    assert caught.value.steps == {tmp_path / f"all/seed{SEEDS[1]}": 1}
    assert lab.Run(tmp_path / f"all/seed{SEEDS[1]}").state == "diverged"
    for run in alone:
        assert values(lab.Run(tmp_path / "all" / run.name)) == pytest.approx(values(run), rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("task", tasks.names())
def test_every_metric_of_a_nan_network_is_nan(task: str) -> None:
    experiment = tiny(task)
    network = build(experiment)
    names = Evaluator(experiment)(network).keys()
    network.norm.weight.data.fill_(math.nan)
    measured = Evaluator(experiment)(network)
    assert measured.keys() == names
    assert all(map(math.isnan, measured.values()))
