"""A user's objective that has a module and a loss on a trunk layer."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import lab
from lab.config import Experiment
from lab.errors import LabError
from lab.objectives import find_objective
from lab.runs.layout import checkpoints
from lab.training.feed import Feed
from lab.training.module import TrainingModule
from tests.helpers.killing import assert_same_run, kill_in_step, train_killed
from tests.helpers.tiny import tiny

pytestmark = pytest.mark.process
NAME = "tests.helpers.users_objective:below"


def experiment_of(**changes: object) -> Experiment:
    return tiny(objective__name=NAME, **changes)


def test_a_loss_trains_the_layers_it_reads_and_its_module() -> None:
    module, (part,) = TrainingModule(experiment_of(n_future=1)), Feed(experiment_of(n_future=1)).microbatches(0)
    plain = module.loss(part, module.hidden(part.inputs), module.network.unembedding.matrices, torch.ones(2)).total
    names, weights = zip(*module.named_parameters(), strict=True)
    found, alone = (
        torch.autograd.grad(loss, weights, materialize_grads=True) for loss in (module.training_step(part, 0), plain)
    )
    changed = {name for name, one, other in zip(names, found, alone, strict=True) if not torch.allclose(one, other)}
    assert changed == {name for name in names if name.startswith(("network.embedding", "network.trunk.0", "extra"))}


def test_weights_of_the_module_are_in_checkpoints_alone(tmp_path: Path) -> None:
    train_killed(experiment_of(), tmp_path / "killed", kill_in_step)
    (checkpoint,) = checkpoints(tmp_path / "killed")
    saved = [name for path in checkpoint.glob("*.safetensors") for name in load_file(path)]
    assert any("extra.classify.weight" in name for name in saved)
    run = lab.resume(tmp_path / "killed")
    assert_same_run(run, lab.train(experiment_of(), tmp_path / "whole"))
    assert run.record["losses"] == ["1", "2", "past"]
    assert run.record["auxiliary_parameters"] == 12 * run.experiment.model.width
    assert not any("classify" in name for name in load_file(run.path / "model.safetensors"))
    assert [row.step for row in run.metrics() if row.metric == "train/extra/past"] == [3, 6, 9, 12]


def test_the_module_is_idle_while_its_loss_has_no_weight() -> None:
    settings = {"objective__stages": [{"until": 0.5, "start": [1, 1, 0]}, {"until": 1, "start": [1, 1, 1]}]}
    module = TrainingModule(experiment_of(**settings))
    (part,) = Feed(experiment_of(**settings)).microbatches(0)
    module.training_step(part, 0).backward()
    module.configure_gradient_clipping(module.configure_optimizers()["optimizer"])
    assert module.extra is not None
    assert all(weight.grad is None for weight in module.extra.parameters())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"compile": "default"}, f"compile must be none with objective.name {NAME}, which reads activations, not 'default'"),
        ({"objective__detached": True}, "objective.detached must be false"),
        ({"objective__weights": [1, 1]}, r"objective.weights must be 3 numbers, one for each loss \(1, 2, past\), not 2"),
        ({"evaluation__measures": {"gradients": 1}}, "evaluation.measures.gradients must be 0"),
        ({"objective__name": "tests.helpers.users_objective:past"}, "is not a lab.objectives.Objective"),
    ],
)
def test_incompatible_settings_are_rejected_before_a_run(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(LabError, match=message):
        lab.train(tiny(**{"objective__name": NAME, **changes}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_sharding_is_rejected_before_training() -> None:
    with pytest.raises(LabError, match="strategy must be ddp"):
        find_objective(experiment_of(devices=2, strategy="fsdp"))
