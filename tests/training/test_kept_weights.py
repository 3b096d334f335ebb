"""Weights that a run keeps during training: of the right steps, exact, and as safe from kills as its metrics."""

from pathlib import Path
from typing import Any

import pytest
import torch

import lab
from lab.errors import Diverged, LabError
from lab.evaluation.points import kept_points
from lab.runs import weights
from lab.runs.layout import METRICS, kept_name, list_steps
from lab.training import callbacks
from tests.helpers.digests import digest
from tests.helpers.ensembles import SEEDS, ensemble
from tests.helpers.killing import assert_same_run, die, kill_in_step, train_killed
from tests.helpers.tiny import tiny

EVERY = {"checkpoint__keep": "every"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> lab.Run:
    """Train a run without interruption that keeps its weights at every evaluation point."""
    return lab.train(tiny(**EVERY), tmp_path_factory.mktemp("whole") / "run")


def kept_files(run: lab.Run) -> dict[str, str]:
    """Return the digests of the files of a run that hold metrics or weights, by name."""
    return {path.name: digest(path) for path in run.path.iterdir() if path.suffix == ".safetensors" or path.name == METRICS}


@pytest.mark.parametrize(
    ("keep", "steps"), [("none", [12]), ("every", [*range(13)]), ("per_decade", [0, 1, 2, 3, 4, 6, 7, 10, 12])]
)
def test_a_rule_selects_the_steps_to_keep(keep: str, steps: list[int]) -> None:
    assert kept_points(tiny(checkpoint__keep=keep, evaluation__every=1)) == steps


@pytest.mark.parametrize(("keep", "steps"), [("none", [12]), ([0, 9], [0, 9, 12]), ([3, 12], [3, 12])])
def test_a_run_has_the_weights_of_the_steps_it_keeps(tmp_path: Path, keep: Any, steps: list[int]) -> None:
    run = lab.train(tiny(checkpoint__keep=keep), tmp_path / "run")
    assert run.steps() == steps
    assert {path.name for path in run.path.glob("*.safetensors")} == {"model.safetensors", *map(kept_name, steps[:-1])}


def test_kept_weights_equal_those_of_a_checkpoint(whole: lab.Run, tmp_path: Path) -> None:
    train_killed(tiny(), tmp_path / "killed", kill_in_step)
    killed = lab.Run(tmp_path / "killed")
    assert killed.steps() == [6]
    found, last = whole.model(6).state_dict(), whole.model().state_dict()
    for name, expected in killed.model(6).state_dict().items():
        assert torch.equal(found[name], expected)
        assert not torch.equal(found[name], last[name])


def test_kept_weights_change_nothing_else(whole: lab.Run, tmp_path: Path) -> None:
    assert_same_run(lab.train(tiny(), tmp_path / "plain"), whole)


def within_kept_weights(patch: pytest.MonkeyPatch) -> None:
    usual, calls = weights.save_tensors, []

    def save(tensors: Any, path: Path) -> None:
        calls.append(None)
        if len(calls) == 3:
            path.write_bytes(b"half of it")
            die()
        usual(tensors, path)

    patch.setattr(weights, "save_tensors", save)


def after_kept_weights(patch: pytest.MonkeyPatch) -> None:
    """Make training die when the weights of step 6 are kept and its checkpoint is not written."""
    usual, calls = callbacks.save_weights, []

    def save(*arguments: Any) -> None:
        usual(*arguments)
        calls.append(None)
        if len(calls) == 3:
            die()

    patch.setattr(callbacks, "save_weights", save)


@pytest.mark.process
@pytest.mark.parametrize("kill", [within_kept_weights, after_kept_weights, kill_in_step], ids=lambda kill: kill.__name__)
@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_a_killed_run_ends_with_the_same_files(whole: lab.Run, tmp_path: Path, kill: Any, seconds: float) -> None:
    train_killed(tiny(**EVERY, checkpoint__seconds=seconds), tmp_path / "killed", kill)
    left = lab.Run(tmp_path / "killed")
    for step in left.steps():
        left.model(step)
    assert kept_files(lab.resume(left)) == kept_files(whole)
    assert not list(left.path.glob(".*")), "a partial file is left"


@pytest.mark.process
def test_weights_after_the_checkpoint_are_removed_on_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train_killed(tiny(**EVERY, checkpoint__seconds=1e9), tmp_path / "run", kill_in_step)
    assert lab.Run(tmp_path / "run").steps() == [0, 3, 6]
    monkeypatch.setattr("lab.training.fit.fit", lambda *_: None)
    assert lab.resume(tmp_path / "run").steps() == []


def test_every_member_of_an_ensemble_keeps_its_weights(tmp_path: Path) -> None:
    for run in lab.train_ensemble(ensemble(tiny(steps=6, checkpoint__keep=[3]), tmp_path)):
        alone = lab.train(run.experiment, tmp_path / "alone" / run.name)
        assert run.steps() == [3, 6]
        found = run.model(3).state_dict()
        for name, expected in alone.model(3).state_dict().items():
            assert (found[name] - expected).norm() <= 1e-5 * expected.norm(), name


def test_a_diverged_member_keeps_the_weights_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = torch.optim.AdamW.step

    def break_weights(self: torch.optim.AdamW, *arguments: object, **named: object) -> object:
        found = usual(self, *arguments, **named)
        if int(next(iter(self.state.values()))["step"]) == 5:
            self.param_groups[0]["params"][0].data[1].fill_(torch.nan)
        return found

    monkeypatch.setattr(torch.optim.AdamW, "step", break_weights)
    members = ensemble(tiny(**EVERY, checkpoint__seconds=1e9), tmp_path)
    with pytest.raises(Diverged):
        lab.train_ensemble(members)
    steps = [lab.Run(path).steps() for path in members]
    assert steps == [[0, 3, 6, 9, 12], [0, 3], [0, 3, 6, 9, 12]], SEEDS


def test_weights_can_be_kept_in_half_precision(whole: lab.Run, tmp_path: Path) -> None:
    half = lab.train(tiny(**EVERY, checkpoint__keep_precision="bfloat16"), tmp_path / "half")
    full_size, half_size = ((run.path / kept_name(6)).stat().st_size for run in (whole, half))
    assert half_size < 0.75 * full_size, "names and shapes take the rest of such a small file"
    for step, rounds in ((6, True), (12, False)):
        found = half.model(step).state_dict()
        for name, weight in whole.model(step).state_dict().items():
            assert found[name].dtype == torch.float32
            assert torch.equal(found[name], weight.bfloat16().float() if rounds else weight)


def test_an_unknown_step_is_rejected_with_the_kept_ones(whole: lab.Run) -> None:
    with pytest.raises(LabError, match=r"has no weights of step 5; step must be one of 0, 3, 6, 9, 12$"):
        whole.model(5)


def test_a_message_abbreviates_a_long_list_of_steps() -> None:
    assert list_steps([0, 3]) == "0, 3"
    listed = list_steps(range(0, 1000, 10)).split(", ")
    assert (listed[:2], listed[-2:], len(listed)) == (["0", "10"], ["...", "990"], 21)


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ("all", "checkpoint.keep must be one of none, per_decade, every, or an increasing list of steps, not 'all'"),
        ([], "an increasing list of steps, not \\[\\]"),
        ([6, 3], "an increasing list of steps, not \\[6, 3\\]"),
        ([-1], "an increasing list of steps"),
        ([True], "an increasing list of steps"),
        ([0, 4], "checkpoint.keep must be evaluation points, not step 4; nearest to it: 3 and 6"),
        ([15], "checkpoint.keep must be evaluation points, not step 15; nearest to it: 12"),
    ],
)
def test_wrong_steps_to_keep_are_rejected(keep: Any, message: str) -> None:
    with pytest.raises(LabError, match=message):
        tiny(checkpoint__keep=keep)
