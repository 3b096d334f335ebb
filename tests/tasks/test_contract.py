"""What every task promises, over every registered task and those of users."""

import dataclasses
import json
import subprocess
import sys
import zlib

import numpy as np
import pytest

import tasks
from tasks import SPLITS, Task, TaskError
from tasks.core.batch import join
from tasks.core.division import split_of
from tests.tasks.small import SMALL

ROWS = 64


def row_set(rows: np.ndarray) -> set[bytes]:
    return {row.tobytes() for row in np.ascontiguousarray(rows)}


def test_the_same_arguments_give_the_same_bits(task: Task) -> None:
    first, second = (task.batch(3, 5, ROWS, "validation") for _ in range(2))
    for field in dataclasses.fields(first):
        np.testing.assert_array_equal(getattr(first, field.name), getattr(second, field.name))


def test_a_fresh_process_gives_the_same_bits(every_task: list[str]) -> None:
    code = """
import json, sys, zlib
names, sys.path = json.loads(sys.argv[1])
import tasks
sums = lambda task: [zlib.crc32(task.batch(7, 2, 16, split).tokens.tobytes()) for split in tasks.SPLITS]
print(json.dumps({name: sums(tasks.get(name)) for name in names}))
"""
    words = [sys.executable, "-c", code, json.dumps([every_task, sys.path])]
    answer = subprocess.run(words, capture_output=True, text=True, check=True)
    for name, sums in json.loads(answer.stdout).items():
        here = [zlib.crc32(tasks.get(name).batch(7, 2, 16, split).tokens.tobytes()) for split in SPLITS]
        assert sums == here, name


@pytest.mark.parametrize("changed", [{"seed": 4}, {"index": 6}, {"split": "test"}])
def test_another_seed_index_or_split_gives_other_rows(task: Task, changed: dict[str, object]) -> None:
    usual = {"seed": 3, "index": 5, "size": ROWS, "split": "train"}
    one, other = task.batch(**usual), task.batch(**{**usual, **changed})
    assert not np.array_equal(one.tokens, other.tokens)


def test_no_instance_is_in_two_splits(task: Task) -> None:
    drawn = {split: np.concatenate([task.instances(task.batch(0, i, 256, split).tokens) for i in range(4)]) for split in SPLITS}
    if not task.splits_itself:
        for number, split in enumerate(SPLITS):
            assert (split_of(task, task.batch(0, 0, 256, split).tokens) == number).all(), f"{task.name}: {split}"
    sets = {split: row_set(rows) for split, rows in drawn.items()}
    for one in SPLITS:
        for other in SPLITS:
            assert one == other or not sets[one] & sets[other], f"{task.name}: {one} and {other} share an instance"


def test_batches_have_the_promised_shapes_types_and_ranges(task: Task) -> None:
    batch = task.batch(0, 0, ROWS)
    shape = (ROWS, task.length)
    assert batch.tokens.shape == batch.roles.shape == batch.scored.shape == shape
    assert batch.answer.shape == (ROWS, 2)
    assert (batch.tokens.dtype, batch.roles.dtype, batch.scored.dtype) == (np.int64, np.int8, np.bool_)
    assert batch.tokens.min() >= 0
    assert batch.tokens.max() < task.vocab_size
    assert batch.roles.min() >= 0
    assert batch.roles.max() < len(task.roles)
    assert len(batch) == ROWS
    np.testing.assert_array_equal(batch.row(3).tokens[0], batch.tokens[3])
    assert all(getattr(batch, field.name).flags.writeable for field in dataclasses.fields(batch))


def test_every_role_occurs_and_padding_is_the_first(task: Task) -> None:
    assert task.roles[0] == tasks.PADDING
    assert len(set(task.roles)) == len(task.roles)
    seen = np.unique(np.concatenate([task.batch(0, index, 256).roles.ravel() for index in range(4)]))
    assert set(range(1, len(task.roles))) <= set(seen.tolist()), f"{task.name}: a role never occurs"


def test_roles_have_short_and_different_labels(task: Task) -> None:
    labels = [task.role_label(role) for role in (*task.roles[1:], "all")]
    assert len(set(labels)) == len(labels)
    assert all(1 <= len(label) <= 40 and "#" not in label for label in labels)


def test_padding_stands_only_behind_an_instance(task: Task) -> None:
    padded = task.batch(0, 0, ROWS).roles == 0
    assert (padded[:, 1:] >= padded[:, :-1]).all(), f"{task.name}: padding within an instance"


def test_no_instance_is_cut(task: Task) -> None:
    """Answers lie within their rows, and where an instance has an end, every row has it, once and last."""
    batch = task.batch(0, 0, ROWS)
    if task.has_answer:
        begin, end = batch.answer.T
        assert ((begin > 0) & (begin < end) & (end <= (batch.roles != 0).sum(axis=1))).all()
    else:
        assert not batch.answer.any()
    if "end" in task.roles:
        ends = batch.roles == task.role("end")
        assert (ends.sum(axis=1) == 1).all()
        assert (ends.argmax(axis=1) == (batch.roles != 0).sum(axis=1) - 1).all()


def test_scored_positions_have_a_role_and_follow_loss_on(task: Task) -> None:
    batch = task.batch(0, 0, ROWS)
    assert not (batch.scored & (batch.roles == 0)).any()
    if task.has_answer:
        answered = dataclasses.replace(task, loss_on="answer").batch(0, 0, ROWS)
        position = np.arange(task.length)
        inside = (position >= answered.answer[:, :1]) & (position < answered.answer[:, 1:])
        np.testing.assert_array_equal(answered.scored, inside & (answered.roles != 0))
        assert inside.any(axis=1).all()
    else:
        np.testing.assert_array_equal(batch.scored, batch.roles != 0)
        with pytest.raises(TaskError, match="loss_on"):
            dataclasses.replace(task, loss_on="answer")


def test_loss_on_changes_no_instance(task: Task) -> None:
    if task.has_answer:
        arms = [dataclasses.replace(task, loss_on=loss_on).batch(0, 0, ROWS) for loss_on in ("all", "answer")]
        np.testing.assert_array_equal(arms[0].tokens, arms[1].tokens)


def test_floors_and_chances_are_within_their_bounds(task: Task) -> None:
    for role in task.roles:
        floor, chance = task.floor(role), task.chance(role)
        assert floor is None or (np.isfinite(floor) and floor >= 0), role
        assert chance is None or 0 < chance <= 1, role
    with pytest.raises(TaskError, match="no role"):
        task.role("no such role")


def test_no_floor_lies_above_what_the_optimum_loses(task: Task) -> None:
    batch = task.batch(0, 0, 4096)
    optimum = task.optimum(batch.tokens)
    if optimum is None:
        return
    assert optimum.shape == batch.tokens.shape
    for number, role in enumerate(task.roles):
        floor, losses = task.floor(role), optimum[:, 1:][batch.roles[:, 1:] == number]
        if floor is not None and len(losses):
            assert floor <= losses.mean() + 3 * losses.std() / np.sqrt(len(losses)) + 1e-12, role


@pytest.mark.parametrize(
    ("name", "settings"), SMALL, ids=lambda value: value.rpartition(":")[2] if isinstance(value, str) else ""
)
def test_splits_of_small_tasks_follow_the_stated_distribution(name: str, settings: dict[str, object]) -> None:
    """Their strata, and the mean of `optimum`: its error is that over instances, however often each is drawn."""
    task = tasks.get(name, **settings)
    stated = np.array([stratum.chance for stratum in task.strata()])
    assert stated.sum() == pytest.approx(1)
    found: set[bytes] = set()
    for split in SPLITS:
        batch = join([task.batch(0, index, 1000, split) for index in range(6)])
        drawn = np.bincount(task.stratum(batch.tokens), minlength=len(stated))
        error = np.sqrt(len(batch) * stated * (1 - stated))
        assert (abs(drawn - len(batch) * stated) <= 4.5 * error + 1e-9).all(), (split, drawn / len(batch))
        every, instance = np.unique(task.instances(batch.tokens), axis=0, return_inverse=True)
        assert not row_set(every) & found, split
        found |= row_set(every)
        optimum = task.optimum(batch.tokens)
        for number, role in enumerate(task.roles if optimum is not None else ()):
            floor, here = task.floor(role), batch.roles[:, 1:] == number
            if floor is not None and here.any():
                nats = np.where(here, optimum[:, 1:] - floor, 0).sum(axis=1)
                error = np.sqrt((np.bincount(instance.ravel(), weights=nats) ** 2).sum())
                assert abs(nats.sum()) <= 3.5 * error + 1e-9 * here.sum(), (split, role, nats.sum() / here.sum())


def uniform(task: Task, rows: int) -> np.ndarray:
    return np.full((rows, task.length, task.vocab_size), -np.log(task.vocab_size), dtype=np.float32)


def own_metrics(task: Task) -> set[str]:
    """Names of the metrics of the task's own, beside losses, accuracies and whole answers."""
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


def test_metrics_of_a_tasks_own_take_no_name_that_others_have(task: Task) -> None:
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


def test_comparing_gives_finite_numbers_and_is_announced(task: Task) -> None:
    batch = task.batch(0, 0, 8, "test")
    values = task.compare(batch.tokens, uniform(task, 8))
    assert bool(values) == task.compares
    assert all(np.isfinite(value) for value in values.values())


def test_sampled_rows_are_judged_by_finite_numbers_and_pure(task: Task) -> None:
    if task.sampled_from is None:
        assert task.judge(task.batch(0, 0, 2).tokens) == {}
        return
    assert 1 <= task.sampled_from < task.length
    tokens = task.batch(0, 0, 8, "test").tokens
    noise = np.random.default_rng(0).integers(task.vocab_size, size=tokens.shape)
    position = np.arange(task.length)
    sampled = np.where(position < task.sampled_from, tokens, noise)  # as an untrained model would go on
    before = sampled.copy()
    values = task.judge(sampled)
    assert values
    assert values == task.judge(sampled)
    np.testing.assert_array_equal(sampled, before)
    assert all(np.isfinite(value) for value in values.values())


def test_forced_tokens_are_ids_and_forcing_does_not_come_and_go(task: Task) -> None:
    tokens = task.batch(0, 0, 8, "test").tokens
    begin = task.length if task.sampled_from is None else task.sampled_from
    imposed = [task.forced(tokens[:, :end]) for end in range(begin, task.length)]
    assert len({each is None for each in imposed}) <= 1
    for each in imposed:
        if each is not None:
            assert (each.shape, each.dtype) == ((8,), np.int64)
            assert each.min() >= -1
            assert each.max() < task.vocab_size


def test_artifacts_are_text_by_plain_file_names(task: Task) -> None:
    for name, text in task.artifacts().items():
        assert name == name.replace("/", "").lstrip(".")
        assert isinstance(text, str)
        assert text


def test_variants_share_vocabulary_and_roles(task: Task) -> None:
    for name, variant in task.variants().items():
        assert (variant.vocab_size, variant.roles) == (task.vocab_size, task.roles), name
        assert len(variant.batch(0, 0, 4, "test")) == 4


def test_a_description_gives_the_task_back(task: Task) -> None:
    described = task.description
    assert tasks.from_description(json.loads(json.dumps(described))) == task
    assert tasks.from_description(described).fingerprint == task.fingerprint


def test_showing_gives_a_word_for_each_token_with_a_role(task: Task) -> None:
    batch = task.batch(0, 0, 4)
    shown = task.show(batch, 2)
    assert len(shown) == (batch.roles[2] != 0).sum()
    assert all(word and role in task.roles[1:] for word, role in shown)


def test_answers_are_those_that_the_tasks_own_solver_finds(task: Task) -> None:
    if not (task.has_answer and task.determined):
        row = task.batch(0, 0, 1)
        with pytest.raises(TaskError):
            task.solve(row.tokens[0, : row.answer[0, 0]])
        return
    batch = task.batch(0, 0, 32, "test")
    for tokens, (begin, end) in zip(batch.tokens, batch.answer, strict=True):
        np.testing.assert_array_equal(task.solve(tokens[:begin]), tokens[begin:end])


@pytest.mark.parametrize("name", tasks.names())
def test_unknown_settings_and_wrong_types_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(TaskError, match="no setting 'nonsense'"):
        tasks.get(name, nonsense=1)
    for field in dataclasses.fields(tasks.find(name)):
        with pytest.raises(TaskError, match=field.name) as refused:
            tasks.get(name, **{field.name: object()})
        assert "\n" not in str(refused.value)


def test_numbers_that_make_no_sense_are_refused_by_the_settings_name(task: Task) -> None:
    for field in dataclasses.fields(task):
        value = getattr(task, field.name)
        if isinstance(value, int) and not isinstance(value, bool):
            wrong: tuple[object, ...] = (-1, value + 0.5)
        elif isinstance(value, float):
            wrong = (float("nan"), float("inf"), -float("inf"))
        elif isinstance(value, tuple) and value and isinstance(value[0], int):
            wrong = ((-1,) * len(value), value[::-1] if value[0] != value[-1] else (), ())
        else:
            continue
        for each in wrong:
            with pytest.raises(TaskError, match=field.name) as refused:
                dataclasses.replace(task, **{field.name: each})
            assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "arguments", [{"size": 0}, {"seed": -1}, {"index": -1}, {"split": "exam"}, {"seed": 2**64}], ids=lambda each: str(each)
)
def test_wrong_arguments_of_a_batch_are_refused(task: Task, arguments: dict[str, object]) -> None:
    with pytest.raises(TaskError, match=next(iter(arguments))):
        task.batch(**{"seed": 0, "index": 0, "size": 2, "split": "train", **arguments})
