"""Metrics that tasks define on a model's distribution and on sampled sequences."""

import numpy as np

from tasks import Task


def uniform(task: Task, sequences: int) -> np.ndarray:
    return np.full((sequences, task.length, task.vocab_size), -np.log(task.vocab_size), dtype=np.float32)


def own_metrics(task: Task) -> set[str]:
    """Return the names of the metrics that a task defines, besides losses, accuracies and exact answers."""
    batch = task.batch(0, 0, 8, "test")
    names = set(task.compare(batch.tokens, uniform(task, 8))) if task.compares else set()
    if task.sampled_from is not None:
        ways = ("sampled", "forced") if task.forced(batch.tokens[:, : task.sampled_from]) is not None else ("sampled",)
        names |= {f"{way}/{name}" for way in ways for name in task.judge(batch.tokens)}
    return names


def test_the_headline_is_a_metric_that_the_task_has(task: Task) -> None:
    kind, _, role = task.headline.partition("/")
    if task.headline in ("exact", "first"):
        assert task.has_answer
        assert task.determined
    elif kind in ("accuracy", "loss"):
        assert role in (*task.roles[1:], "all")
    else:
        assert task.headline in own_metrics(task)


def test_task_metrics_have_unreserved_names(task: Task) -> None:
    for name in own_metrics(task):
        assert name.partition("/")[0] not in (
            "loss",
            "accuracy",
            "exact",
            "first",
            "icl",
            "train",
            "prefix_matching",
            "copying",
        )
        assert ":" not in name


def test_comparing_gives_finite_numbers(task: Task) -> None:
    batch = task.batch(0, 0, 8, "test")
    values = task.compare(batch.tokens, uniform(task, 8))
    assert bool(values) == task.compares
    assert all(np.isfinite(value) for value in values.values())


def test_judging_is_finite_and_has_no_side_effects(task: Task) -> None:
    if task.sampled_from is None:
        assert task.judge(task.batch(0, 0, 2).tokens) == {}
        return
    assert 1 <= task.sampled_from < task.length
    tokens = task.batch(0, 0, 8, "test").tokens
    noise = np.random.default_rng(0).integers(task.vocab_size, size=tokens.shape)
    position = np.arange(task.length)
    sampled = np.where(position < task.sampled_from, tokens, noise)  # as an untrained model would continue
    before = sampled.copy()
    values = task.judge(sampled)
    assert values
    assert values == task.judge(sampled)
    np.testing.assert_array_equal(sampled, before)
    assert all(np.isfinite(value) for value in values.values())


def test_forced_tokens_are_ids_at_every_prefix_or_none(task: Task) -> None:
    tokens = task.batch(0, 0, 8, "test").tokens
    begin = task.length if task.sampled_from is None else task.sampled_from
    forced = [task.forced(tokens[:, :end]) for end in range(begin, task.length)]
    assert len({each is None for each in forced}) <= 1
    for each in forced:
        if each is not None:
            assert (each.shape, each.dtype) == ((8,), np.int64)
            assert each.min() >= -1
            assert each.max() < task.vocab_size
