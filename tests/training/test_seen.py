"""Tokens seen: the count of a step, which is the same for every run, process and member of an ensemble."""

import signal
from pathlib import Path
from typing import Any

import pytest

import lab
import tasks
from lab.config import Experiment
from lab.training import module
from lab.training.feed import Feed
from tests.helpers.ensembles import ensemble
from tests.helpers.tiny import tiny


def count_tokens(experiment: Experiment, steps: int) -> tuple[int, int]:
    """Count tokens and scored tokens of the first steps, one sequence after the other."""
    tokens = scored_tokens = 0
    for step in range(steps):
        batch = experiment.task.batch(experiment.seed, step, experiment.batch_size, "train")
        for roles, scored in zip(batch.roles.tolist(), batch.scored.tolist(), strict=True):
            tokens += sum(role != 0 for role in roles)
            scored_tokens += sum(scored[1:])
    return tokens, scored_tokens


def read_counts(run: lab.Run) -> dict[int, tuple[int, float]]:
    return {row.step: (row.tokens, row.scored_tokens) for row in run.metrics()}


@pytest.mark.parametrize("task", tasks.names())
def test_a_step_counts_tokens_and_the_targets_of_head_1(task: str) -> None:
    experiment = tiny(task)
    (part,) = Feed(experiment).microbatches(0)
    assert part.seen == count_tokens(experiment, 1)
    if experiment.task.has_answer:
        answer = lab.override(experiment, {"task.loss_on": "answer"})
        (scored,) = Feed(answer).microbatches(0)
        assert scored.seen == count_tokens(answer, 1)
        assert scored.seen[0] == part.seen[0]


def test_a_run_counts_the_tokens_of_all_its_steps(tmp_path: Path) -> None:
    experiment = tiny("polynomial", steps=4, evaluation__every=2)
    run = lab.train(experiment, tmp_path / "run")
    assert read_counts(run) == {step: count_tokens(experiment, step) for step in (0, 2, 4)}
    assert run.metrics()[-1].tokens < 4 * experiment.positions_per_step, "a task with padding"
    frame = run.frame()
    assert frame["sequences"].tolist() == [4 * step for step in frame["step"]]
    assert frame["scored_tokens"].tolist() == [row.scored_tokens for row in run.metrics()]


def test_longer_padding_does_not_add_tokens() -> None:
    means = []
    for length in (128, 256):
        experiment = lab.experiment("stories", {"task.length": length, "batch_size": 512})
        (part,) = Feed(experiment).microbatches(0)
        means.append(part.seen[0] / 512)
    assert means[1] == pytest.approx(means[0], rel=0.02)


@pytest.mark.parametrize(("world", "accumulate"), [(1, 4), (2, 2), (4, 1)])
def test_every_process_counts_the_whole_step_once(world: int, accumulate: int) -> None:
    experiment = tiny("polynomial", grad_accum_steps=accumulate)
    for rank in range(world):
        parts = Feed(experiment, rank=rank, world=world).microbatches(7)
        whole = Feed(tiny("polynomial")).microbatches(7)[0]
        assert tuple(map(sum, zip(*(part.seen for part in parts), strict=True))) == whole.seen


def test_members_of_an_ensemble_count_as_separately(tmp_path: Path) -> None:
    experiment = tiny("polynomial")
    together = lab.train_ensemble(ensemble(experiment, tmp_path / "together"))
    alone = lab.train_each(ensemble(experiment, tmp_path / "alone"))
    assert [read_counts(run) for run in together] == [read_counts(run) for run in alone]
    assert read_counts(together[0]) != read_counts(together[1])


def test_a_resumed_ensemble_continues_to_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = tiny("polynomial")
    usual = module.TrainingModule.accumulate

    def note(self: Any, heads: Any) -> None:
        if self.global_step == 4:  # between two evaluation points
            signal.raise_signal(signal.SIGTERM)
        usual(self, heads)

    monkeypatch.setattr(module.TrainingModule, "accumulate", note)
    with pytest.raises(lab.Interrupted):
        lab.train_ensemble(ensemble(experiment, tmp_path))
    monkeypatch.undo()
    for run in lab.train_ensemble(ensemble(experiment, tmp_path)):
        assert read_counts(run)[12] == count_tokens(run.experiment, 12)
