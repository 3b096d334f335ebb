"""Ensembles that were killed or stopped resume as one ensemble, in groups, or run by run."""

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
from tests.helpers.killing import die, run_killed
from tests.helpers.tiny import tiny

pytestmark = pytest.mark.process


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


def test_a_killed_ensemble_resumes_group_by_group(tmp_path: Path) -> None:
    """At the kill the first group is finished, the second one has begun and the third has no folder."""

    def child() -> None:
        usual, calls = several.fit, []

        def fit(module: Any, *rest: Any) -> None:
            calls.append(None)
            if len(calls) == 2:
                in_step(pytest.MonkeyPatch())
            usual(module, *rest)

        pytest.MonkeyPatch().setattr(several, "fit", fit)
        lab.train_ensemble(ensemble(tiny(), tmp_path / "killed"), size=1)

    run_killed(child)
    assert [lab.Run(path).state for path in sorted((tmp_path / "killed").iterdir())] == ["finished", "killed"]
    whole = lab.train_ensemble(ensemble(tiny(), tmp_path / "whole"))
    for one, other in zip(lab.train_ensemble(ensemble(tiny(), tmp_path / "killed"), size=1), whole, strict=True):
        assert_close(one, other)


def test_runs_at_different_steps_resume_from_their_own_step(tmp_path: Path) -> None:
    """One member was begun separately and continues from its checkpoint; the others are new."""
    whole = lab.train_ensemble(ensemble(tiny(), tmp_path / "whole"))
    members = ensemble(tiny(), tmp_path / "begun")

    def child() -> None:
        in_step(pytest.MonkeyPatch())
        lab.train(members[tmp_path / "begun" / "seed1"], tmp_path / "begun" / "seed1")

    run_killed(child)
    step = lab.Run(tmp_path / "begun" / "seed1").checkpoint()
    assert step is not None
    steps: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        usual = Recorder.rewind
        patch.setattr(Recorder, "rewind", lambda recorder, step: (steps.append(step), usual(recorder, step)))
        for one, other in zip(lab.train_ensemble(members), whole, strict=True):
            assert_close(one, other)
    assert steps == [checkpoint_step(step)]


def test_metrics_after_the_resumed_step_are_dropped(tmp_path: Path) -> None:
    """Otherwise a later `resume` starts from a checkpoint whose earlier metrics are gone."""
    run_path = tmp_path / "run"

    def child() -> None:
        in_step(pytest.MonkeyPatch())
        lab.train(tiny(), run_path)

    run_killed(child)
    run = lab.Run(run_path)
    assert run.checkpoint() is not None
    Recorder(run_path, run.experiment, dict(run.record)).rewind(-1)
    assert run.checkpoint() is None
    assert lab.resume(run_path).metrics() == lab.train(tiny(), tmp_path / "whole").metrics()


@pytest.mark.parametrize("members", [ensemble, heads_and_seeds], ids=lambda members: members.__name__)
@pytest.mark.parametrize(
    "kill",
    [in_step, after_some_members_checkpoints, between_members_ends, while_folders_are_made],
    ids=lambda kill: kill.__name__,
)
def test_a_killed_ensemble_resumes_as_an_ensemble(
    kill: Callable[..., None], members: Callable[..., dict[Path, Experiment]], tmp_path: Path
) -> None:
    experiment = tiny(model__layers=4)
    whole = lab.train_ensemble(members(experiment, tmp_path / "whole"))

    def child() -> None:
        kill(pytest.MonkeyPatch())
        lab.train_ensemble(members(experiment, tmp_path / "killed"))

    run_killed(child)
    resumed = lab.train_ensemble(members(experiment, tmp_path / "killed"))
    for one, other in zip(resumed, whole, strict=True):
        assert_close(one, other)
        assert one.state == "finished"


@pytest.mark.parametrize("members", [ensemble, heads_and_seeds], ids=lambda members: members.__name__)
def test_a_member_of_a_killed_ensemble_resumes_separately(
    members: Callable[..., dict[Path, Experiment]], tmp_path: Path
) -> None:
    experiment = tiny(model__layers=4)

    def child() -> None:
        in_step(pytest.MonkeyPatch())
        lab.train_ensemble(members(experiment, tmp_path / "killed"))

    run_killed(child)
    whole = lab.train_each(members(experiment, tmp_path / "whole"))
    for run in whole:
        assert_close(lab.resume(tmp_path / "killed" / run.name), run)


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
