"""Training that begins with a finished run's weights."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import lab
from lab.errors import LabError
from lab.model import build
from lab.training.start import start_from
from tests.helpers.killing import assert_same_run, kill_before_any_checkpoint, kill_in_step, train_killed
from tests.helpers.runs import make_run
from tests.helpers.tiny import tiny

pytestmark = pytest.mark.process  # seconds each


def make_first(tmp_path: Path, **settings: object) -> lab.Run:
    """Write a finished run; its weights are those at initialisation."""
    return make_run(tmp_path / "first", tiny(**settings), weights=True)


CHANGES = [
    pytest.param({"n_future": 3, "model__layers": 5}, {"n_future": 1, "model__layers": 3}, [], id="fine-tuned with one head"),
    pytest.param({"n_future": 3, "model__layers": 5}, {"n_future": 3, "model__layers": 5}, [], id="continued"),
    pytest.param({"n_future": 1, "model__layers": 3}, {"n_future": 3, "model__layers": 5},
                 ["heads.layers.1", "heads.layers.2"], id="heads added, layers counted together"),
    pytest.param({"n_future": 1, "model__layers": 3}, {"n_future": 2, "model__layers": 3, "model__matched": "none"},
                 ["heads.layers.1"], id="heads added on top"),
    pytest.param({"n_future": 1, "model__layers": 4}, {"n_future": 2, "model__layers": 5, "model__head_layer": 1},
                 ["heads.layers.1"], id="heads added to an earlier layer"),
    pytest.param({"n_future": 2, "model__heads": "replicated"},
                 {"n_future": 1, "model__layers": 2, "model__heads": "replicated"}, [], id="replicated unembeddings removed"),
    pytest.param({"n_future": 1, "model__heads": "replicated"},
                 {"n_future": 2, "model__layers": 4, "model__heads": "replicated"},
                 ["heads.layers.1", "unembedding.weight.1"], id="replicated unembeddings added"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "fresh"), CHANGES)
def test_the_next_token_model_starts_where_it_ended(
    tmp_path: Path, before: dict[str, object], after: dict[str, object], fresh: list[str]
) -> None:
    first = lab.train(tiny(steps=4, **before), tmp_path / "first")
    experiment = tiny(init=str(first.path), steps=4, seed=7, **after)
    second = lab.train(experiment, tmp_path / "second")
    last = {row.metric: row.value for row in first.metrics() if row.step == 4}
    initial = {row.metric: row.value for row in second.metrics() if row.step == 0}
    for metric in ("loss/all/1", "loss/copy/1", "accuracy/copy/1"):
        assert initial[metric] == pytest.approx(last[metric], abs=1e-6)
    assert second.record["init"]["fresh"] == fresh
    assert second.record["init"]["fingerprint"] == first.experiment.fingerprint
    if fresh:
        network = build(experiment)
        start_from(network, experiment)
        own = build(experiment).state_dict()
        assert all(torch.equal(weight, own[name]) for name, weight in network.state_dict().items()
                   if name.startswith(tuple(fresh)))  # fmt: skip


@pytest.mark.parametrize("kill", [kill_before_any_checkpoint, kill_in_step])
def test_a_run_with_a_start_resumes_exactly(tmp_path: Path, kill: Callable[[pytest.MonkeyPatch], None]) -> None:
    experiment = tiny(init=str(make_first(tmp_path, seed=1).path))
    train_killed(experiment, tmp_path / "killed", kill)
    assert_same_run(lab.resume(tmp_path / "killed"), lab.train(experiment, tmp_path / "whole"))


REJECTED = [
    ({"n_future": 1}, "model.layers must be 2, not 3, for the 1 trunk layers of init"),
    ({"n_future": 1, "model__matched": "none"}, "model.layers must be 2, not 3"),
    ({"model__width": 16}, "model.width must be 8"),
    ({"model__mlp": "gelu"}, "model.mlp must be swiglu"),
    ({"model__heads": "causal"}, "model.heads must be parallel"),
    ({"model__head_layer": 1}, "model.head_layer must be null"),
    ({"task__vocabulary": 14}, "14 token ids, that of init .* 12"),
]


@pytest.mark.parametrize(("settings", "message"), REJECTED)
def test_an_incompatible_start_writes_nothing(tmp_path: Path, settings: dict[str, object], message: str) -> None:
    experiment = tiny(init=str(make_first(tmp_path).path), **settings)
    with pytest.raises(LabError, match=message):
        lab.train(experiment, tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_a_start_without_a_next_token_path_is_rejected(tmp_path: Path) -> None:
    first = make_first(tmp_path, model__heads="anticausal", n_future=1, model__layers=2)
    experiment = tiny(init=str(first.path), model__heads="anticausal", n_future=2)
    with pytest.raises(LabError, match=r"has no weights for heads\.layers\.1.*next-token head"):
        lab.train(experiment, tmp_path / "second")


def test_a_start_that_drops_next_token_layers_is_rejected(tmp_path: Path) -> None:
    first = make_first(tmp_path, model__heads="anticausal", n_future=2)
    experiment = tiny(init=str(first.path), model__heads="anticausal", n_future=1, model__layers=2)
    with pytest.raises(LabError, match=r"next-token head computes with heads\.layers\.1.*which the new network lacks"):
        lab.train(experiment, tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_an_unfinished_run_is_rejected(tmp_path: Path) -> None:
    first = make_run(tmp_path / "first", tiny(), state="stopped", weights=True)
    with pytest.raises(LabError, match=r"init must be a finished run, and .* is stopped"):
        lab.train(tiny(init=str(first.path)), tmp_path / "second")


def test_another_training_of_the_first_run_is_noticed(tmp_path: Path) -> None:
    first = make_first(tmp_path)
    train_killed(tiny(init=str(first.path)), tmp_path / "second", kill_before_any_checkpoint)
    shutil.rmtree(first.path)
    make_first(tmp_path, seed=1)
    with pytest.raises(LabError, match=r"init .*first: has other weights than when this run began"):
        lab.resume(tmp_path / "second")
