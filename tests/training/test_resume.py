"""A run that is killed anywhere and resumed ends with exactly the metrics of an uninterrupted run."""

import functools
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lab
from lab.config import dump
from lab.errors import LabError
from lab.runs import checkpoint, tables
from lab.runs.layout import kept_weights
from lab.training import fit
from tests.helpers.digests import digest, digest_files
from tests.helpers.killing import assert_same_run, die, kill_before_any_checkpoint, kill_in_step, run_killed, train_killed
from tests.helpers.tiny import tiny

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def train_whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], lab.Run]:
    """Return a function that trains a run with a number of microbatches in a step without interruption, once."""
    folder = tmp_path_factory.mktemp("whole")
    return functools.cache(lambda accumulate: lab.train(tiny(grad_accum_steps=accumulate), folder / f"{accumulate}"))


def after_metrics(patch: pytest.MonkeyPatch) -> None:
    """Make training die when the metrics of the third evaluation are written and its checkpoint is not."""
    usual, calls = tables.append, []

    def append(*arguments: Any) -> None:
        usual(*arguments)
        calls.append(None)
        if len(calls) == 3:  # the table of times is written after the metrics
            die()

    patch.setattr(tables, "append", append)


def within_a_checkpoint(patch: pytest.MonkeyPatch) -> None:
    usual, calls = checkpoint.save_tensors, []

    def save(tensors: Any, path: Path) -> None:
        calls.append(None)
        if len(calls) == 2:
            path.write_bytes(b"half of it")
            die()
        usual(tensors, path)

    patch.setattr(checkpoint, "save_tensors", save)


def before_the_older_checkpoint_is_removed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(checkpoint, "remove_checkpoint", die)


def before_the_weights_are_written(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fit, "save_weights", die)


def before_the_record_says_finished(patch: pytest.MonkeyPatch) -> None:
    usual = fit.Recorder.set_state
    patch.setattr(fit.Recorder, "set_state", lambda self, state: die() if state == "finished" else usual(self, state))


KILLS = [
    kill_in_step, kill_before_any_checkpoint, after_metrics, within_a_checkpoint, before_the_older_checkpoint_is_removed,
    before_the_weights_are_written, before_the_record_says_finished,
]  # fmt: skip


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("kill", KILLS, ids=lambda kill: kill.__name__)
def test_a_killed_run_ends_as_an_uninterrupted_one(
    tmp_path: Path, kill: Any, accumulate: int, train_whole: Callable[[int], lab.Run]
) -> None:
    train_killed(tiny(grad_accum_steps=accumulate), tmp_path / "run", kill)
    assert lab.Run(tmp_path / "run").state == "killed"
    assert_same_run(lab.resume(tmp_path / "run"), train_whole(accumulate))


def test_a_run_can_be_killed_repeatedly(tmp_path: Path) -> None:
    experiment = tiny(examples=10)
    train_killed(experiment, tmp_path / "run", kill_in_step)

    def again() -> None:
        kill_in_step(pytest.MonkeyPatch(), 4)
        lab.resume(tmp_path / "run")

    run_killed(again)
    assert_same_run(lab.resume(tmp_path / "run"), lab.train(experiment, tmp_path / "whole"))


CHANGES: list[dict[str, Any]] = [
    {"objective__name": "shuffled", "accumulate": 2},
    {"objective__name": "order", "objective__detached": True},
    {"objective__active": [[0, 1], [7, 2]]},  # killed with both heads, resumed from a checkpoint with one
    {"objective__active": [[0, 2], [5, 1], [9, 2]]},
]


@pytest.mark.parametrize("settings", CHANGES)
def test_objectives_and_schedules_resume_exactly(tmp_path: Path, settings: dict[str, Any]) -> None:
    experiment = tiny(**settings)
    train_killed(experiment, tmp_path / "killed", kill_in_step)
    assert_same_run(lab.resume(tmp_path / "killed"), lab.train(experiment, tmp_path / "whole"))


@pytest.mark.parametrize("settings", [{}, {"examples": 10, "accumulate": 2}])
def test_padded_tasks_resume_exactly(tmp_path: Path, settings: dict[str, Any]) -> None:
    experiment = tiny("polynomial", **settings)
    train_killed(experiment, tmp_path / "killed", kill_in_step)
    assert_same_run(lab.resume(tmp_path / "killed"), lab.train(experiment, tmp_path / "whole"))


def test_a_checkpoint_without_token_counts_is_rejected(tmp_path: Path) -> None:
    train_killed(tiny(), tmp_path / "run", kill_in_step)
    (folder,) = (tmp_path / "run").glob("checkpoint-*")
    state = json.loads((folder / checkpoint.STATE).read_text())
    state["$pairs"] = [pair for pair in state["$pairs"] if pair[0] != "seen"]
    (folder / checkpoint.STATE).write_text(json.dumps(state))
    with pytest.raises(LabError, match="of an older version"):
        lab.resume(tmp_path / "run")


def test_a_finished_run_is_not_resumed(tmp_path: Path) -> None:
    run = lab.train(tiny(), tmp_path / "run")
    with pytest.raises(LabError, match="is finished"):
        lab.resume(run)


def test_a_damaged_checkpoint_is_rejected_before_any_write(tmp_path: Path) -> None:
    train_killed(tiny(), tmp_path / "run", kill_in_step)
    (tmp_path / "run" / ".lock").unlink()  # the lock file that the kill has left
    (folder,) = (tmp_path / "run").glob("checkpoint-*")
    tensors = folder / checkpoint.TENSORS
    tensors.write_bytes(tensors.read_bytes()[:100])
    before = digest_files((tmp_path / "run").rglob("*"))
    with pytest.raises(LabError, match="safetensors"):
        lab.resume(tmp_path / "run")
    assert before == digest_files((tmp_path / "run").rglob("*"))


@pytest.mark.slow
def test_twenty_kills_at_random_moments_change_nothing(tmp_path: Path) -> None:
    experiment = tiny(steps=400, evaluation__every=5, checkpoint__keep="per_decade")
    (tmp_path / "experiment.yaml").write_text(dump(experiment))
    moments = random.Random(0)
    run = tmp_path / "run"
    for _ in range(20):
        command = ["resume", str(run)] if run.exists() else ["train", "--config", "experiment.yaml", "--out", str(run)]
        with subprocess.Popen([sys.executable, "-m", "lab", *command], cwd=tmp_path, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()  # training has begun
            time.sleep(moments.random() * 0.4)
            process.kill()
        if run.exists() and lab.Run(run).state == "finished":
            break
    if lab.Run(run).state != "finished":
        lab.resume(run)
    whole = lab.train(experiment, tmp_path / "whole")
    assert_same_run(lab.Run(run), whole)
    kept, wanted = (kept_weights(folder) for folder in (run, whole.path))
    assert {step: digest(file) for step, file in kept.items()} == {step: digest(file) for step, file in wanted.items()}
