"""Every objective in training: resumption, microbatches, costs, ensembles, and unchanged initial weights."""

from functools import partial
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import lab
from lab.config import Experiment
from lab.config.kinds import KINDS, NOTHING
from lab.config.objective_table import OBJECTIVES
from lab.errors import LabError
from lab.objectives import build_extra
from lab.training.feed import Feed
from lab.training.module import TrainingModule
from tests.helpers.ensembles import assert_close, ensemble
from tests.helpers.flops import COUNTED_TOO
from tests.helpers.killing import assert_same_run, kill_in_step, train_killed
from tests.helpers.tiny import tiny

EVERY = pytest.mark.parametrize("name", OBJECTIVES)
N = pytest.mark.parametrize("n", [1, 2])


def objective_experiment(name: str, **changes: object) -> Experiment:
    """Return a tiny experiment of six steps, in which the losses after the first fade out one by one."""
    quick = {"steps": 6, "evaluation__measures__induction": 0}
    return tiny(objective__name=name, objective__window=3, objective__active="fade", **{**quick, **changes})


def first_step_loss(module: TrainingModule, feed: Feed) -> torch.Tensor:
    """Return the mean loss of the microbatches of the first step."""
    losses = [module.training_step(part, 0) for part in feed.microbatches(0)]
    return torch.stack(losses).mean()


@EVERY
@pytest.mark.process
def test_a_killed_run_resumes_exactly(name: str, tmp_path: Path) -> None:
    experiment = objective_experiment(name)
    train_killed(experiment, tmp_path / "killed", partial(kill_in_step, number=5))
    assert_same_run(lab.resume(tmp_path / "killed"), lab.train(experiment, tmp_path / "whole"))


@EVERY
@N
def test_microbatches_add_up_to_the_step(name: str, n: int) -> None:
    gradients = []
    for accumulate in (1, 2):
        experiment = objective_experiment(name, n_future=n, grad_accum_steps=accumulate)
        module = TrainingModule(experiment).double()
        first_step_loss(module, Feed(experiment)).backward()
        gradients.append({key: weight.grad for key, weight in module.named_parameters()})
    for key, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][key], rtol=1e-6, atol=1e-9)


@EVERY
@N
@pytest.mark.parametrize("kind", ["parallel", *(name for name, kind in KINDS.items() if kind.shared != NOTHING)])
def test_costs_are_counted_exactly(name: str, n: int, kind: str) -> None:
    experiment = objective_experiment(name, n_future=n, model__layers=4, model__heads=kind)
    module, (part,) = TrainingModule(experiment), Feed(experiment).microbatches(0)
    with FlopCounterMode(display=False, custom_mapping=COUNTED_TOO) as counter:
        module.training_step(part, 0).backward()
    assert experiment.flops_per_step == counter.get_total_flops()
    extra = build_extra(experiment)
    weights = [] if extra is None else [weight.numel() for weight in extra.parameters()]
    assert experiment.auxiliary_parameters == sum(weights)


@EVERY
def test_objectives_do_not_change_the_initial_network(name: str, tmp_path: Path) -> None:
    """Only the embedding of a token outside the vocabulary may be new; modules of the objective are not in the network."""
    plain, own = (TrainingModule(tiny(objective__name=each)).network.state_dict() for each in ("sum", name))
    assert own.keys() - plain.keys() <= {"mask"}
    assert all(torch.equal(weight, own[key]) for key, weight in plain.items())
    run = lab.train(objective_experiment(name), tmp_path / "run")
    assert run.model().state_dict().keys() == own.keys()
    losses = {row.metric for row in run.metrics() if row.metric.startswith(("train/loss", "train/extra"))}
    assert len(losses) == len(run.experiment.objective.losses(2))


@pytest.mark.parametrize("name", [name for name, kind in OBJECTIVES.items() if kind.plain])
def test_members_of_an_ensemble_train_as_separately(name: str, tmp_path: Path) -> None:
    for one in lab.train_ensemble(ensemble(objective_experiment(name), tmp_path / "together")):
        assert_close(one, lab.train(one.experiment, tmp_path / "alone" / one.name))


@pytest.mark.parametrize("name", [name for name, kind in OBJECTIVES.items() if not kind.plain])
def test_an_ensemble_rejects_losses_of_another_form(name: str, tmp_path: Path) -> None:
    with pytest.raises(LabError, match=f"ensemble cannot have objective.name {name}"):
        lab.train_ensemble(ensemble(objective_experiment(name), tmp_path / "together"))
    assert not (tmp_path / "together").exists()


def test_no_run_trains_if_a_later_objective_does_not_fit(tmp_path: Path) -> None:
    wrong = tiny("modular", objective__name="registers", objective__window=2)
    with pytest.raises(LabError, match=r"window must be 1 with .* registers"):
        lab.train_each({tmp_path / "runs/one": tiny(steps=4), tmp_path / "runs/two": wrong})
    assert not (tmp_path / "runs").exists()
