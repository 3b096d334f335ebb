"""Instances as lines of text: the contract of every task, and the default form."""

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tasks
from tasks import Batch, Task, TaskError

FIELDS = [field.name for field in dataclasses.fields(Batch)]


def test_a_line_restores_its_instance_exactly(task: Task) -> None:
    for one in (task, *task.variants().values()):
        batch = one.batch(1, 0, 16, "test")
        for index in range(16):
            line = one.format(batch.row(index))
            assert "\n" not in line
            assert line == line.strip()
            again = one.parse(line)
            for field in FIELDS:
                got, expected = getattr(again, field), getattr(batch.row(index), field)
                assert got.dtype == expected.dtype
                np.testing.assert_array_equal(got, expected, err_msg=f"{one.name}: {field} of {line}")


def test_loss_on_selects_the_scored_tokens_of_a_line(task: Task) -> None:
    if task.has_answer:
        line = task.format(task.batch(1, 0, 1, "test"))
        for loss_on in ("all", "answer"):
            one = dataclasses.replace(task, loss_on=loss_on)
            np.testing.assert_array_equal(one.parse(line).scored, one.batch(1, 0, 1, "test").scored)


def test_a_wrong_answer_is_rejected_and_the_right_one_named(task: Task) -> None:
    if not (task.has_answer and task.determined):
        return
    batch, rejected = task.batch(1, 0, 32, "test"), 0
    for index in range(16):
        instance, other = batch.row(index), batch.row(index + 16)
        (begin, end), (from_, to) = instance.answer[0].tolist(), other.answer[0].tolist()
        right, wrong = instance.tokens[0, begin:end], other.tokens[0, from_:to]
        if len(right) != len(wrong) or np.array_equal(right, wrong):
            continue
        tokens = instance.tokens.copy()
        tokens[0, begin:end] = wrong
        with pytest.raises(TaskError) as error:
            task.parse(task.format(dataclasses.replace(instance, tokens=tokens)))
        assert "\n" not in str(error.value)
        assert task.format(instance).replace("=", " ").split()[-1] in str(error.value), (
            "the message has the end of the right line"
        )
        rejected += 1
    assert rejected


def test_malformed_lines_are_rejected(task: Task) -> None:
    line = task.format(task.batch(1, 0, 1, "test"))
    bad = [
        "",
        "nonsense",
        f"{line} nonsense",
        f"nonsense {line}",
        line[: len(line) // 2],
        f"{line} {line}",
        "[",
        "=",
        "[-]",
        "-1",
    ]
    bad += [f"{line}\x00", "٣ " + line, "99999999 " * task.length]
    for each in bad:
        with pytest.raises(TaskError) as error:
            task.parse(each)
        assert "\n" not in str(error.value), each


def parse_or_fail(task: Task, line: str) -> Batch | str:
    try:
        return task.parse(line)
    except TaskError as error:
        return str(error)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fraction=st.floats(0, 1), length=st.integers(0, 4), put=st.text("0123456789 ,|/=+-*o[]<>abnegrolt", max_size=4))
def test_a_changed_line_is_rejected_or_another_instance(task: Task, fraction: float, length: int, put: str) -> None:
    line = task.format(task.batch(1, 0, 1, "test"))
    begin = int(fraction * len(line))
    changed = line[:begin] + put + line[begin + length :]
    read = parse_or_fail(task, changed)
    if isinstance(read, str):
        assert "\n" not in read
    else:
        assert read.tokens.shape == (1, task.length)
        np.testing.assert_array_equal(task.parse(task.format(read)).tokens, read.tokens)


PARITY = tasks.get("tests.helpers.users_task:Parity", bits=4)


def test_the_default_form_states_roles_and_the_answer() -> None:
    assert PARITY.parse("[bit] 0 1 1 1 => [parity] 1").answer.tolist() == [[4, 5]]
    line = PARITY.format(PARITY.batch(0, 0, 1))
    words = line.split()
    assert (words[0], words[5], words[6]) == ("[bit]", "=>", "[parity]")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("0 1 1 1 => [parity] 1", "each role before its token ids"),
        ("[bit] 0 1 1 1 [parity] 1", "=> before the answer"),
        ("[bit] 0 1 1 1 => [parity] 0", "the answer must be 1, not 0"),
        ("[bit] 0 1 1 => [parity] 0", "number of tokens in a line must be 5, not 4"),
        ("[bti] 0 1 1 1 => [parity] 1", "no role 'bti'; did you mean 'bit'"),
        ("[bit] 0 1 1 1 => => [parity] 1", "each role before its token ids"),
        ("[bit] 0 1 1 2 => [parity] 1", "'2' is not a token id, a number below 2"),
        ("[bit] 0 1 1 1 => [parity] 1 <=", "each role before its token ids"),
    ],
)
def test_the_default_form_names_a_fault(line: str, fault: str) -> None:
    with pytest.raises(TaskError) as error:
        PARITY.parse(line)
    assert fault in str(error.value)


RECALL = tasks.get("recall", vocabulary=8, pairs=2, length=12)
INDUCTION = tasks.get("induction", vocabulary=8, period=(2, 3), length=8)


@pytest.mark.parametrize(
    ("task", "line", "fault"),
    [
        (RECALL, "1 5 2 6 1 6 0 0 2 6 0 0", "after 1 must come 5, not 6"),
        (RECALL, "1 5 2 6 1 5 0 3 2 6 0 0", "after 0 must come 0, not 3"),
        (RECALL, "1 5 2 6 1 5 0 0 1 5 0 0", "each key once more"),
        (RECALL, "1 5 1 6 1 5 0 0 2 6 0 0", "each key once more"),
        (RECALL, "1 2 2 6 1 2 0 0 2 6 0 0", "a value from 4 to 7"),
        (INDUCTION, "1 2 3 1 2 3 2 2", "token 6 must be 1, as 3 before, not 2"),
        (INDUCTION, "1 2 3 4 1 2 3 4", "a segment of 2 to 3 different tokens"),
        (INDUCTION, "1 2 2 1 2 2 1 2", "a segment of 2 to 3 different tokens"),
        (INDUCTION, "[new] 1 2 3 [boundary] 1 [copy] 2 3 1 2", "token ids alone"),
    ],
)
def test_impossible_sequences_of_ids_are_rejected(task: Task, line: str, fault: str) -> None:
    with pytest.raises(TaskError) as error:
        task.parse(line)
    assert fault in str(error.value)


NINES = "9" * 5000


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("star", f"1,{NINES}|2,3/1,3=1,3"),
        ("star", "1,2|3,\u00b2/1,3=1,3"),
        ("maze", f"1,{NINES}|2,3/1,3=1,3 won"),
        ("addition", f"12+39={NINES}"),
        ("addition", f"{NINES}+39=51"),
        ("polynomial", f"+ 1,{NINES} 1,1 = 2,2"),
        ("polynomial", f"+ 1,1 1,1 = 2,{NINES}"),
        ("modular", f"{NINES} + 4 = 7"),
        ("markov", f"0 1 {NINES}"),
        ("recall", NINES),
    ],
)
def test_a_number_of_thousands_of_digits_gives_one_short_line(name: str, line: str) -> None:
    with pytest.raises(TaskError, match=name) as rejected:
        tasks.get(name).parse(line)
    assert len(str(rejected.value)) < 300
    assert "\n" not in str(rejected.value)
