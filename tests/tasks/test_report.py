"""Data reports: counts agree with enumeration, measures with loops over sequences."""

import itertools
import json
from dataclasses import asdict

import numpy as np
import pytest

import tasks
from tasks import SPLITS, Task, TaskError
from tasks.core.rng import stream
from tasks.report import inspect_data

SMALL = {
    "induction": {"vocabulary": 5, "period": [2, 3], "length": 6},
    "recall": {"vocabulary": 6, "pairs": 2, "length": 10, "power": 1.0},
    "star": {"degree": 2, "arm": 3, "nodes": 5},
    "star of three arms": {"degree": 3, "arm": 2, "nodes": 5},
    "modular": {"p": 7},
    "modular division": {"p": 7, "operation": "/"},
    "polynomial": {"p": 3, "k": 1, "operations": [1, 1]},
    "addition": {"digits": [1, 1]},
    "maze": {"turns": 1, "detours": 0, "nodes": 5},
}


@pytest.mark.parametrize("name", SMALL)
def test_counts_agree_with_many_draws(name: str) -> None:
    task = tasks.get(name.split()[0], **SMALL[name])
    counted = task.instance_count()
    assert counted is not None
    number, kind = counted
    assert kind == "exact"
    rng = stream("count", seed=0, index=0)
    drawn = [task.draw(rng, 20 * number, split).tokens for split in (SPLITS if task.splits_itself else SPLITS[:1])]
    assert len(np.unique(task.instances(np.concatenate(drawn)), axis=0)) == number


def test_the_count_of_star_graphs_agrees_with_a_list() -> None:
    """The list has every choice of centre, goal's arm and other arm out of six nodes."""
    stars = {(frozenset({(c, a), (a, b), (c, d), (d, e)}), b) for c, a, b, d, e in itertools.permutations(range(6), 5)}
    assert tasks.get("star", degree=2, arm=3, nodes=6).instance_count() == (len(stars), "exact")


def test_a_report_shows_no_overlap_and_all_roles(task: Task) -> None:
    found = inspect_data(task, drawn=200)
    assert found.task == task.description
    assert set(found.overlap) == {"train and validation", "train and test", "validation and test"}
    assert set(found.overlap.values()) == {0}
    assert list(found.roles) == list(task.roles[1:])
    assert sum(facts.share for facts in found.roles.values()) == pytest.approx(1)
    assert 1 <= found.shortest <= found.longest <= task.length
    assert found.tokens_per_second > 0
    assert 0 <= found.met_again <= 1
    if found.instances_are in ("exact", "at most"):
        seen = {row.tobytes() for split in SPLITS for row in task.instances(task.batch(0, 0, 256, split).tokens)}
        assert len(seen) <= found.instances


def test_shares_and_lengths_agree_with_the_sequences() -> None:
    task = tasks.get("stories")
    found = inspect_data(task, drawn=100, seed=5)
    roles = np.concatenate([task.batch(5, 0, size, split).roles for split, size in zip(SPLITS, (200, 100, 100), strict=True)])
    lengths = (roles != 0).sum(axis=1)
    assert (found.shortest, found.longest) == (lengths.min(), lengths.max())
    for number, role in enumerate(task.roles[1:], start=1):
        assert found.roles[role].share == pytest.approx((roles == number).sum() / lengths.sum())
        assert (found.roles[role].floor, found.roles[role].chance) == (task.floor(role), task.chance(role))


def test_public_star_graphs_are_nearly_all_in_training() -> None:
    """With two arms of three nodes out of ten, 200,000 lines repeat 1 - exp(-200,000 / 30,240) = 0.9987 of the graphs."""
    task = tasks.get("star", degree=2, arm=3, nodes=10)
    assert task.instance_count() == (30_240, "exact")
    found = inspect_data(task, drawn=6000)
    inside = 30_240 * 14 / 16  # instances of the training split
    assert found.met_again == pytest.approx(1 - np.exp(-6000 / inside), abs=0.02)
    assert found.overlap["train and test"] == 0


@pytest.mark.parametrize("name", ["induction", "recall", "star", "modular", "addition", "maze"])
def test_instances_are_listed_by_stratum_and_split(name: str) -> None:
    task = tasks.get(name, **SMALL[name])
    found = inspect_data(task, drawn=2000)
    assert list(found.strata) == [stratum.name for stratum in task.strata()]
    for number, facts in enumerate(found.strata.values()):
        assert facts.instances_are == "exact"
        for split in SPLITS:
            tokens = np.concatenate([task.batch(1, index, 2000, split).tokens for index in range(4)])
            here = tokens[task.stratum(tokens) == number]
            assert facts.instances[split] >= len(np.unique(task.instances(here), axis=0)) > 0.9 * facts.instances[split]
            assert facts.drawn[split] == pytest.approx(facts.chance, abs=0.05)


def test_counts_are_marked_as_exact_hashed_or_seen() -> None:
    marks = {name: inspect_data(tasks.get(name), drawn=50).strata for name in ("induction", "bigram", "modular", "stories")}
    kinds = {name: {facts.instances_are for facts in strata.values()} for name, strata in marks.items()}
    assert kinds == {"induction": {"about"}, "bigram": {"seen"}, "modular": {"exact"}, "stories": {"seen"}}


def test_the_mean_optimum_is_reported_with_the_floor() -> None:
    roles = inspect_data(tasks.get("addition", digits=[1, 3], test_digits=None), drawn=4000).roles
    for split in SPLITS:
        assert roles["operand"].optimum[split] == pytest.approx(roles["operand"].floor, abs=0.01)
    assert inspect_data(tasks.get("star"), drawn=20).roles["turn"].optimum is None


def test_huge_numbers_of_instances_are_capped() -> None:
    found = inspect_data(tasks.get("choice", options=1000, consequences=0, blocks=800), drawn=1)
    assert (found.instances, found.instances_are, found.strata["all"].instances_are) == (10**1000, "at least", "seen")
    assert json.loads(json.dumps(asdict(found)))["instances"] == 10**1000
    assert inspect_data(tasks.get("bigram", length=3000), drawn=1).instances_are == "at least, seen"


def test_an_overlap_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    task = tasks.get("modular", p=7)
    kind = type(task)
    honest = kind.draw
    monkeypatch.setattr(kind, "draw", lambda self, rng, size, split: honest(self, rng, size, "test"))
    assert min(inspect_data(task, drawn=100).overlap.values()) > 0


def test_a_report_of_no_draws_is_rejected() -> None:
    with pytest.raises(TaskError, match="drawn must be between 1 and 10000000, not 0"):
        inspect_data(tasks.get("star"), drawn=0)
    with pytest.raises(TaskError, match=r"drawn must be a whole number, not 2\.5"):
        inspect_data(tasks.get("star"), drawn=2.5)  # type: ignore[arg-type]
