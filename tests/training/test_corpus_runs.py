"""Runs over a corpus contain its tokenizer, resume exactly, and can be read without the corpus."""

import json
from pathlib import Path

import pytest

import lab
from lab.config import Experiment
from lab.errors import LabError
from lab.runs import Run
from lab.training import fit, resume
from tests.helpers.stories import stories


class Stop(Exception):
    """An early end of a run."""


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path("stories.txt").write_text("\n\n".join(stories(150)))
    settings = {
        "model.width": 8,
        "model.layers": 3,
        "model.n_heads": 2,
        "task.corpus": "stories.txt",
        "task.vocabulary": 400,
        "task.length": 300,
        "task.unseen": 0.05,
        "steps": 6,
        "batch_size": 2,
        "schedule.warmup_steps": 1,
        "evaluation.every": 2,
        "evaluation.examples": 4,
        "checkpoint.seconds": 0.0,
        "n_future": 2,
        "accelerator": "cpu",
    }
    return lab.experiment("stories", settings)


def train_until_stop(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Train a run that dies after its second evaluation."""
    usual, steps = fit.Measure.on_train_batch_end, []

    def end(self: fit.Measure, *arguments: object) -> None:
        usual(self, *arguments)  # type: ignore[arg-type]
        steps.append(None)
        if len(steps) == 5:
            raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(fit.Measure, "on_train_batch_end", end)
        with pytest.raises(Stop):
            lab.train(experiment, "stopped")
    return Run("stopped")


def test_a_run_keeps_its_tokenizer_and_corpus_hash(experiment: Experiment) -> None:
    run = lab.train(experiment, "run")
    assert (run.path / "tokenizer.json").read_text() == experiment.task.artifacts()["tokenizer.json"]
    assert json.loads((run.path / "corpus.json").read_text())["made from"]["vocabulary"] == 400
    assert {row.metric for row in run.metrics()} >= {"accuracy/second_again/1", "loss/word/2"}


def test_a_resumed_run_has_the_numbers_of_a_complete_one(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = lab.train(experiment, "whole")
    again = resume(train_until_stop(experiment, monkeypatch))
    assert (again.path / "metrics.csv").read_bytes() == (whole.path / "metrics.csv").read_bytes()
    assert (again.path / "model.safetensors").read_bytes() == (whole.path / "model.safetensors").read_bytes()


def test_a_run_does_not_resume_with_another_corpus(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    run = train_until_stop(experiment, monkeypatch)
    Path("stories.txt").write_text("\n\n".join(stories(150, seed=1)))
    with pytest.raises(LabError, match="the files of its task stories have changed since it began"):
        resume(Run(run.path))
    Path("stories.txt").unlink()
    with pytest.raises(ValueError, match=r"stories\.corpus: stories.txt: No such file"):
        resume(Run(run.path))


def test_a_run_can_be_read_without_its_corpus(experiment: Experiment) -> None:
    lab.train(experiment, "run")
    Path("stories.txt").unlink()
    run = Run("run")
    assert set(run.frame()["metric"]) >= {"accuracy/second_again/1"}
    assert run.model().unembedding.weight.shape[0] == 400
