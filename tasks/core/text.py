"""Instances as lines of text, in the default form of a task.

Where tokens alone determine roles and answer (`Task.label`), a line is the token ids. Otherwise it also has the role in
brackets wherever the role changes, `=>` before the answer, and `<=` after an answer that does not end the sequence:

    [bit] 0 1 1 0 => [parity] 0
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.core.batch import Batch
from tasks.core.contract import Contract
from tasks.errors import TaskError, shown
from tasks.settings import number_below, require

BEGIN, END = "=>", "<="
"""Marks before and after an answer."""


def with_newlines(text: str) -> str:
    """Replace every line end, CRLF or CR, by a single newline."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_numbers(text: str, task: str, form: str, below: int, count: int | None = None) -> list[int]:
    """Read numbers that are separated by commas.

    Args:
        text: The numbers.
        task: Name of the task, for the message.
        form: The expected form, for the message: `an edge u,v`.
        below: Upper limit of each number, excluded.
        count: Expected number of numbers; None for any.

    Raises:
        TaskError: If the text has another form.
    """
    words = text.split(",")
    numbers = [number for word in words if (number := number_below(word, below)) is not None]
    if len(numbers) != len(words) or count not in (None, len(words)):
        raise TaskError(f"{task}: {shown(text)} is not {form}, numbers below {below} with commas between")
    return numbers


def has_label(task: Contract) -> bool:
    """Return whether tokens alone determine roles and answers, so that the task defines `label`."""
    return type(task).label is not Contract.label


def write(task: Contract, row: Batch) -> str:
    """Write a batch of one sequence as a line."""
    tokens, roles = row.tokens[0].tolist(), row.roles[0].tolist()
    if has_label(task):
        return " ".join(map(str, tokens))
    begin, end = row.answer[0].tolist() if task.has_answer else (-1, -1)
    words = []
    for position, (token, role) in enumerate(zip(tokens, roles, strict=True)):
        marks = [mark for mark, at in ((END, end), (BEGIN, begin)) if at == position]
        changed = position == 0 or role != roles[position - 1]
        words += [*marks, *([f"[{task.roles[role]}]"] if changed else []), str(token)]
    return " ".join(words)


def read(task: Contract, line: str) -> Batch:
    """Read a batch of one sequence from a line in the form of `write`.

    Raises:
        TaskError: If the line is malformed, does not fit the settings, or states a wrong answer (naming the right one).
    """
    words = line.split()
    ids = [word for word in words if word not in (BEGIN, END) and not word.startswith("[")]
    tokens = np.array([[_read_token(task, word) for word in ids]], dtype=np.int64)
    require(len(ids) == task.length, f"{task.name}: the number of tokens in a line", len(ids), str(task.length))
    row = task.label(tokens) if has_label(task) else task.rows(tokens, *_read_roles(task, words))
    if write(task, row) != " ".join(words):
        form = "token ids alone" if has_label(task) else f"as [{task.roles[1]}] 1 2 3, each role before its token ids"
        raise TaskError(f"{task.name}: a line is {form}" + (f", {BEGIN} before the answer" if task.has_answer else ""))
    if task.has_answer and task.determined:
        check_answer(task, row)
    return row


def check_answer(task: Contract, row: Batch) -> None:
    """Reject the answer of a sequence unless the task's rule gives it.

    Args:
        task: A task whose prompts determine their answers.
        row: A batch of one sequence.

    Raises:
        TaskError: Naming the right answer.
    """
    begin, end = row.answer[0].tolist()
    right, stated = task.solve(row.tokens[0, :begin]), row.tokens[0, begin:end]
    if not np.array_equal(right, stated):
        wrong, truth = (" ".join(map(str, tokens.tolist())) for tokens in (stated, right))
        raise TaskError(f"{task.name}: the answer must be {truth}, not {wrong}")


def _read_token(task: Contract, word: str) -> int:
    """Read a token id."""
    number = number_below(word, task.vocab_size)
    if number is None:
        raise TaskError(f"{task.name}: {shown(word)} is not a token id, a number below {task.vocab_size}")
    return number


def _read_roles(task: Contract, words: list[str]) -> tuple[NDArray[np.int8], NDArray[np.int64] | None]:
    """Read roles (1, T) and answer (1, 2) from the words of a line."""
    roles: list[int] = []
    role, begin, end = 0, 0, task.length
    for word in words:
        if word.startswith("["):
            role = task.role(word.strip("[]"))
        elif word == BEGIN:
            begin = len(roles)
        elif word == END:
            end = len(roles)
        else:
            roles.append(role)
    answer = np.array([[begin, end]]) if task.has_answer else None
    return np.array([roles], dtype=np.int8), answer
