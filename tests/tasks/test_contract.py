"""The contract of a task, for every registered task and those of users."""

import dataclasses
import json
import subprocess
import sys
import zlib

import numpy as np
import pytest

import tasks
from tasks import SPLITS, Task, TaskError
from tasks.core.division import split_of
from tests.helpers.every_task import EVERY

SEQUENCES = 64


def distinct_rows(rows: np.ndarray) -> set[bytes]:
    return {row.tobytes() for row in np.ascontiguousarray(rows)}


def test_the_same_arguments_give_the_same_bits(task: Task) -> None:
    first, second = (task.batch(3, 5, SEQUENCES, "validation") for _ in range(2))
    for field in dataclasses.fields(first):
        np.testing.assert_array_equal(getattr(first, field.name), getattr(second, field.name))


def test_a_fresh_process_gives_the_same_bits() -> None:
    code = """
import json, sys, zlib
names, sys.path = json.loads(sys.argv[1])
import tasks
sums = lambda task: [zlib.crc32(task.batch(7, 2, 16, split).tokens.tobytes()) for split in tasks.SPLITS]
print(json.dumps({name: sums(tasks.get(name)) for name in names}))
"""
    words = [sys.executable, "-c", code, json.dumps([EVERY, sys.path])]
    answer = subprocess.run(words, capture_output=True, text=True, check=True)
    for name, sums in json.loads(answer.stdout).items():
        here = [zlib.crc32(tasks.get(name).batch(7, 2, 16, split).tokens.tobytes()) for split in SPLITS]
        assert sums == here, name


def test_another_seed_index_or_split_gives_other_sequences(task: Task) -> None:
    usual = {"seed": 3, "index": 5, "size": SEQUENCES, "split": "train"}
    for changed in ({"seed": 4}, {"index": 6}, {"split": "test"}):
        assert not np.array_equal(task.batch(**usual).tokens, task.batch(**{**usual, **changed}).tokens), changed


def test_classes_divide_the_vocabulary(task: Task) -> None:
    if task.classes is not None:
        assert task.classes.shape == (task.vocab_size,)
        assert task.classes.dtype == np.int64
        assert set(task.classes.tolist()) == set(range(task.classes.max() + 1))
        assert 2 <= task.classes.max() + 1 < task.vocab_size


def test_no_instance_is_in_two_splits(task: Task) -> None:
    drawn = {split: np.concatenate([task.instances(task.batch(0, i, 256, split).tokens) for i in range(4)]) for split in SPLITS}
    if not task.splits_itself:
        for number, split in enumerate(SPLITS):
            assert (split_of(task, task.batch(0, 0, 256, split).tokens) == number).all(), f"{task.name}: {split}"
    sets = {split: distinct_rows(rows) for split, rows in drawn.items()}
    for one in SPLITS:
        for other in SPLITS:
            assert one == other or not sets[one] & sets[other], f"{task.name}: {one} and {other} share an instance"


def test_batches_have_the_right_shapes_types_and_ranges(task: Task) -> None:
    batch = task.batch(0, 0, SEQUENCES)
    shape = (SEQUENCES, task.length)
    assert batch.tokens.shape == batch.roles.shape == batch.scored.shape == shape
    assert batch.answer.shape == (SEQUENCES, 2)
    assert (batch.tokens.dtype, batch.roles.dtype, batch.scored.dtype) == (np.int64, np.int8, np.bool_)
    assert batch.tokens.min() >= 0
    assert batch.tokens.max() < task.vocab_size
    assert batch.roles.min() >= 0
    assert batch.roles.max() < len(task.roles)
    assert len(batch) == SEQUENCES
    np.testing.assert_array_equal(batch.row(3).tokens[0], batch.tokens[3])
    assert all(getattr(batch, field.name).flags.writeable for field in dataclasses.fields(batch))


def test_words_are_read_back(task: Task) -> None:
    if getattr(task, "corpus", None):
        return  # a corpus is encoded by its tokenizer
    words = [task.word(token) for token in range(task.vocab_size)]
    assert task.encode(" ".join(words)).tolist() == list(range(task.vocab_size))
    assert task.encode("").tolist() == []


def test_an_unknown_word_is_rejected_with_the_nearest(task: Task) -> None:
    if getattr(task, "corpus", None):
        return  # the tokenizer of a corpus encodes every byte
    longest = max((task.word(token) for token in range(task.vocab_size)), key=len)
    with pytest.raises(TaskError, match=rf"{task.name} has no word {longest + '~'!r}; ") as caught:
        task.encode(f"{task.word(0)} {longest}~")
    assert longest in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_role_occurs_and_padding_is_the_first(task: Task) -> None:
    assert task.roles[0] == tasks.PADDING
    assert len(set(task.roles)) == len(task.roles)
    seen = np.unique(np.concatenate([task.batch(0, index, 256).roles.ravel() for index in range(4)]))
    assert set(range(1, len(task.roles))) <= set(seen.tolist()), f"{task.name}: a role never occurs"


def test_roles_have_short_and_different_labels(task: Task) -> None:
    labels = [task.role_label(role) for role in (*task.roles[1:], "all")]
    assert len(set(labels)) == len(labels)
    assert all(1 <= len(label) <= 40 and "#" not in label for label in labels)


def test_padding_only_follows_an_instance(task: Task) -> None:
    padded = task.batch(0, 0, SEQUENCES).roles == 0
    assert (padded[:, 1:] >= padded[:, :-1]).all(), f"{task.name}: padding within an instance"


def test_no_instance_is_truncated(task: Task) -> None:
    """Answers are within their sequences; if the task has an end, every sequence has it once, as its last token."""
    batch = task.batch(0, 0, SEQUENCES)
    if task.has_answer:
        begin, end = batch.answer.T
        assert ((begin > 0) & (begin < end) & (end <= (batch.roles != 0).sum(axis=1))).all()
        assert (end - begin).max() <= task.longest_answer <= task.length
    else:
        assert not batch.answer.any()
        assert task.longest_answer == 0
    if "end" in task.roles:
        ends = batch.roles == task.role("end")
        assert (ends.sum(axis=1) == 1).all()
        assert (ends.argmax(axis=1) == (batch.roles != 0).sum(axis=1) - 1).all()


def test_scored_positions_have_a_role_and_follow_loss_on(task: Task) -> None:
    batch = task.batch(0, 0, SEQUENCES)
    assert not (batch.scored & (batch.roles == 0)).any()
    if task.has_answer:
        answered = dataclasses.replace(task, loss_on="answer").batch(0, 0, SEQUENCES)
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
        batches = [dataclasses.replace(task, loss_on=loss_on).batch(0, 0, SEQUENCES) for loss_on in ("all", "answer")]
        np.testing.assert_array_equal(batches[0].tokens, batches[1].tokens)


def test_artifacts_are_texts_with_plain_file_names(task: Task) -> None:
    for name, text in task.artifacts().items():
        assert name == name.replace("/", "").lstrip(".")
        assert isinstance(text, str)
        assert text


def test_variants_share_vocabulary_and_roles(task: Task) -> None:
    for name, variant in task.variants().items():
        assert (variant.vocab_size, variant.roles) == (task.vocab_size, task.roles), name
        assert len(variant.batch(0, 0, 4, "test")) == 4


def test_a_description_restores_the_task(task: Task) -> None:
    described = task.description
    assert tasks.from_description(json.loads(json.dumps(described))) == task
    assert tasks.from_description(described).fingerprint == task.fingerprint


def test_showing_gives_a_word_for_each_token_with_a_role(task: Task) -> None:
    batch = task.batch(0, 0, 4)
    shown = task.show(batch, 2)
    assert len(shown) == (batch.roles[2] != 0).sum()
    assert all(word and role in task.roles[1:] for word, role in shown)


def test_answers_agree_with_the_solver_of_the_task(task: Task) -> None:
    if not (task.has_answer and task.determined):
        row = task.batch(0, 0, 1)
        with pytest.raises(TaskError):
            task.solve(row.tokens[0, : row.answer[0, 0]])
        return
    batch = task.batch(0, 0, 32, "test")
    for tokens, (begin, end) in zip(batch.tokens, batch.answer, strict=True):
        np.testing.assert_array_equal(task.solve(tokens[:begin]), tokens[begin:end])


@pytest.mark.parametrize("wrong", [-1, -1000, 1000])
def test_a_prompt_with_an_unknown_token_is_rejected(task: Task, wrong: int) -> None:
    if task.name == "maze":
        task = dataclasses.replace(task, slip=0.0, detours=0)
    if not (task.name in tasks.TASKS and task.has_answer and task.determined):
        return
    row = task.batch(0, 0, 1)
    prompt = row.tokens[0, : row.answer[0, 0]]
    prompt[prompt == prompt[0]] = wrong
    with pytest.raises(TaskError, match=f"{task.name}: a token must be between 0 and {task.vocab_size - 1}, not {wrong}$"):
        task.solve(prompt)


WRONG = [
    *({"size": 0}, {"size": 2.5}, {"size": "2"}, {"size": 10**30}, {"split": "exam"}, {"split": 3}),
    *({"seed": -1}, {"seed": 0.5}, {"seed": "3"}, {"seed": None}, {"seed": 2**64}, {"index": -1}, {"index": [2]}),
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_wrong_arguments_of_a_batch_are_rejected(wrong: dict[str, object]) -> None:
    with pytest.raises(TaskError, match=next(iter(wrong))):
        tasks.get("markov").batch(**{"seed": 0, "index": 0, "size": 2, "split": "train", **wrong})
