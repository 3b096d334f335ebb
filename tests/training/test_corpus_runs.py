"""Runs over a corpus contain its tokenizer, resume exactly, and can be read without the corpus."""

import json
from functools import partial
from pathlib import Path

import pytest

import lab
from lab.config import Experiment
from lab.errors import LabError
from tests.helpers.killing import assert_same_run, kill_in_step, train_killed
from tests.helpers.stories import stories
from tests.helpers.tiny import tiny

kill_in_sixth_step = partial(kill_in_step, number=6)


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    """Write a small corpus to the working directory, and return an experiment on it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path("stories.txt").write_text("\n\n".join(stories(150)))
    corpus = {"task__corpus": "stories.txt", "task__vocabulary": 400, "task__length": 300, "task__unseen": 0.05}
    short = {"steps": 6, "batch_size": 2, "schedule__warmup_steps": 1, "evaluation__every": 2, "evaluation__examples": 4}
    return tiny("stories", **corpus, **short)


def test_a_run_keeps_its_tokenizer_and_corpus_hash(experiment: Experiment) -> None:
    run = lab.train(experiment, "run")
    assert (run.path / "tokenizer.json").read_text() == experiment.task.artifacts()["tokenizer.json"]
    assert json.loads((run.path / "corpus.json").read_text())["made from"]["vocabulary"] == 400
    assert {row.metric for row in run.metrics()} >= {"accuracy/second_again/1", "loss/word/2"}


def test_a_killed_run_resumes_exactly(experiment: Experiment) -> None:
    train_killed(experiment, Path("killed"), kill_in_sixth_step)
    assert_same_run(lab.resume("killed"), lab.train(experiment, "whole"))


def test_a_run_does_not_resume_with_another_corpus(experiment: Experiment) -> None:
    train_killed(experiment, Path("killed"), kill_in_sixth_step)
    Path("stories.txt").write_text("\n\n".join(stories(150, seed=1)))
    with pytest.raises(LabError, match="the files of its task stories have changed since it began"):
        lab.resume("killed")
    Path("stories.txt").unlink()
    with pytest.raises(ValueError, match=r"stories\.corpus: stories.txt: No such file"):
        lab.resume("killed")


def test_a_run_can_be_read_without_its_corpus(experiment: Experiment) -> None:
    lab.train(experiment, "run")
    Path("stories.txt").unlink()
    run = lab.Run("run")
    assert set(run.frame()["metric"]) >= {"accuracy/second_again/1"}
    assert run.model().unembedding.weight.shape[0] == 400
