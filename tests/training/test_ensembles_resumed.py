"""Ensembles that were killed or stopped resume as one ensemble, in groups, or run by run."""

import functools
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lab
from lab.config import Experiment
from lab.runs import checkpoint
from lab.runs.layout import checkpoint_step
from lab.runs.writer import Recorder
from lab.training import module, several
from tests.helpers.ensembles import SEEDS, assert_close, ensemble, heads_and_seeds
from tests.helpers.killing import die, run_killed, train_killed
from tests.helpers.tiny import tiny

pytestmark = pytest.mark.process

Members = Callable[[Experiment, Path], dict[Path, Experiment]]
EXPERIMENT = tiny(model__layers=4, evaluation__measures__induction=0)
EACH = pytest.mark.parametrize("members", [ensemble, heads_and_seeds], ids=lambda members: members.__name__)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Members], list[lab.Run]]:
    """Return a function that trains members of `EXPERIMENT` as one ensemble without interruption, once."""
    return functools.cache(lambda members: lab.train_ensemble(members(EXPERIMENT, tmp_path_factory.mktemp("whole"))))


def in_step(patch: pytest.MonkeyPatch) -> None:
    usual, calls = module.TrainingModule.accumulate, []

    def note(self: Any, heads: Any) -> None:
        calls.append(None)
        if len(calls) == 8:
            die()
        usual(self, heads)

    patch.setattr(module.TrainingModule, "accumulate", note)


def after_some_members_checkpoints(patch: pytest.MonkeyPatch) -> None:
    usual, calls = checkpoint.save_tensors, []

    def save(tensors: Any, path: Path) -> None:
        calls.append(None)
        if len(calls) == len(SEEDS) + 2:
            die()
        usual(tensors, path)

    patch.setattr(checkpoint, "save_tensors", save)


def between_members_ends(patch: pytest.MonkeyPatch) -> None:
    usual, calls = Recorder.set_state, []

    def note(self: Any, state: str) -> None:
        calls.append(state)
        if calls.count("finished") == 2:
            die()
        usual(self, state)

    patch.setattr(Recorder, "set_state", note)


def while_folders_are_made(patch: pytest.MonkeyPatch) -> None:
    usual, calls = Recorder.create, []

    def create(*arguments: Any) -> Any:
        calls.append(None)
        if len(calls) == 2:
            die()
        return usual(*arguments)

    patch.setattr(Recorder, "create", create)


def test_a_killed_ensemble_resumes_group_by_group(whole: Callable[[Members], list[lab.Run]], tmp_path: Path) -> None:
    """At the kill the first group is finished, the second one has begun and the third has no folder."""

    def child() -> None:
        usual, calls = several.fit, []

        def fit(module: Any, *rest: Any) -> None:
            calls.append(None)
            if len(calls) == 2:
                in_step(pytest.MonkeyPatch())
            usual(module, *rest)

        pytest.MonkeyPatch().setattr(several, "fit", fit)
        lab.train_ensemble(ensemble(EXPERIMENT, tmp_path), size=1)

    run_killed(child)
    assert [lab.Run(path).state for path in sorted(tmp_path.iterdir())] == ["finished", "killed"]
    for one, other in zip(lab.train_ensemble(ensemble(EXPERIMENT, tmp_path), size=1), whole(ensemble), strict=True):
        assert_close(one, other)


def test_runs_at_different_steps_resume_from_their_own_step(
    whole: Callable[[Members], list[lab.Run]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One member was begun separately and continues from its checkpoint; the others are new."""
    members = ensemble(EXPERIMENT, tmp_path)
    begun = tmp_path / "seed1"
    train_killed(members[begun], begun, in_step)
    checkpoint_path = lab.Run(begun).checkpoint()
    assert checkpoint_path is not None
    steps: list[int] = []
    usual = Recorder.rewind
    monkeypatch.setattr(Recorder, "rewind", lambda recorder, step: (steps.append(step), usual(recorder, step)))
    for one, other in zip(lab.train_ensemble(members), whole(ensemble), strict=True):
        assert_close(one, other)
    assert steps == [checkpoint_step(checkpoint_path)]


def test_metrics_after_the_resumed_step_are_dropped(tmp_path: Path) -> None:
    """Otherwise a later `resume` starts from a checkpoint whose earlier metrics are gone."""
    train_killed(tiny(), tmp_path / "run", in_step)
    run = lab.Run(tmp_path / "run")
    assert run.checkpoint() is not None
    Recorder(run.path, run.experiment, dict(run.record)).rewind(-1)
    assert run.checkpoint() is None
    assert lab.resume(run.path).metrics() == lab.train(tiny(), tmp_path / "whole").metrics()


@EACH
@pytest.mark.parametrize(
    "kill",
    [in_step, after_some_members_checkpoints, between_members_ends, while_folders_are_made],
    ids=lambda kill: kill.__name__,
)
def test_a_killed_ensemble_resumes_as_an_ensemble(
    kill: Callable[..., None], members: Members, whole: Callable[[Members], list[lab.Run]], tmp_path: Path
) -> None:
    def child() -> None:
        kill(pytest.MonkeyPatch())
        lab.train_ensemble(members(EXPERIMENT, tmp_path))

    run_killed(child)
    for one, other in zip(lab.train_ensemble(members(EXPERIMENT, tmp_path)), whole(members), strict=True):
        assert_close(one, other)
        assert one.state == "finished"


@EACH
def test_a_member_of_a_killed_ensemble_resumes_separately(
    members: Members, whole: Callable[[Members], list[lab.Run]], tmp_path: Path
) -> None:
    def child() -> None:
        in_step(pytest.MonkeyPatch())
        lab.train_ensemble(members(EXPERIMENT, tmp_path))

    run_killed(child)
    for run in whole(members):
        assert_close(lab.resume(tmp_path / run.name), run)


def test_ctrl_c_names_the_way_to_resume_an_ensemble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = module.TrainingModule.accumulate

    def note(self: Any, heads: Any) -> None:
        if self.global_step == 5:
            signal.raise_signal(signal.SIGTERM)
        usual(self, heads)

    monkeypatch.setattr(module.TrainingModule, "accumulate", note)
    with pytest.raises(lab.Interrupted, match=r"stopped at step 6; the same command again, for all 3 runs, continues them"):
        lab.train_ensemble(ensemble(tiny(), tmp_path))
    monkeypatch.undo()
    assert {run.state for run in lab.train_ensemble(ensemble(tiny(), tmp_path))} == {"finished"}
