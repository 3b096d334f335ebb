"""Test sets as files: instances written for others to use, and those of others read.

A file has one instance a line, either as its plain line of text (`Task.format`), or as a JSON object with that text under
`line` and all that it takes to draw it again:

    {"line": "41 + 7 = 48", "task": "modular", "settings": {...}, "split": "test", "seed": 0, "index": 12}

is `tasks.get("modular", **settings).batch(seed=0, index=12, size=1, split="test")`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from tasks.core.base import Task
from tasks.core.batch import Batch, joined
from tasks.core.registry import from_description
from tasks.core.text import with_newlines
from tasks.errors import TaskError
from tasks.settings import require

_TOO_LONG = re.compile(r"[0-9]{4000}")
"""More digits than Python makes a number of (4300)."""


def exported(task: Task, split: str = "test", size: int = 2000, seed: int = 0) -> Iterator[str]:
    """Instances of a task as lines of JSON.

    Line i is drawn by itself, so that a longer file begins with a shorter one's lines.

    Args:
        task: Whose instances.
        split: `train`, `validation` or `test`.
        size: How many, 1 or more.
        seed: Of the stream they are drawn from.

    Raises:
        TaskError: For a wrong argument.
    """
    require(size >= 1, "size", size, "at least 1")
    described = task.description
    name, settings = described.pop("name"), described
    for index in range(size):
        line = task.format(task.batch(seed, index, 1, split))
        fields = {"line": line, "task": name, "settings": settings, "split": split, "seed": seed, "index": index}
        yield json.dumps(fields, ensure_ascii=False)


def read_file(path: Path | str, task: Task) -> Batch:
    """All instances that a file states, in its order: all or none.

    A line of JSON may be of other settings than the task's, as long as rows, roles and vocabulary are the same.

    Args:
        path: Lines of text, or of JSON as `exported` writes them.
        task: Whose instances they are.

    Raises:
        TaskError: If the file cannot be read, or for the first line that is wrong, with its number and its fault.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise TaskError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TaskError(f"{path}: not a text file in UTF-8") from error
    require(bool(text.strip()), f"{path}", "empty", "a file with an instance a line")
    rows = []
    for number, line in enumerate(with_newlines(text).removesuffix("\n").split("\n"), start=1):
        try:
            rows.append(_row(line, task))
        except TaskError as error:
            raise TaskError(f"{path}, line {number}: {error}") from error
    return joined(rows)


def _row(line: str, task: Task) -> Batch:
    if not line.strip():
        raise TaskError("is empty")
    if not line.lstrip().startswith("{"):
        return _parsed(task, line)
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise TaskError(f"not JSON ({error})") from error
    except RecursionError as error:
        raise TaskError("not JSON of an instance (nested too deeply)") from error
    except ValueError as error:  # a number of thousands of digits
        raise TaskError("not JSON of an instance (a number with too many digits)") from error
    text, name, settings = (fields.get(key) for key in ("line", "task", "settings"))
    require(isinstance(text, str), "line", text, "the instance's text")
    if name is None:
        return _parsed(task, text)
    require(isinstance(name, str), "task", name, "a task's name")
    require(settings is None or isinstance(settings, dict), "settings", settings, "a mapping of settings")
    return _parsed(_same_kind(task, json.dumps({**(settings or {}), "name": name}, sort_keys=True)), text)


def _parsed(task: Task, text: str) -> Batch:
    if _TOO_LONG.search(text):
        raise TaskError("holds a number of thousands of digits")
    row = task.parse(text)
    require(row.tokens.shape == (1, task.length), "the number of tokens", row.tokens.shape[1], str(task.length))
    return row


@lru_cache(maxsize=64)
def _same_kind(task: Task, described: str) -> Task:
    """The task that a line says it is of, if a model of `task` can be asked it."""
    of_line: dict[str, Any] = json.loads(described)
    own = task.description["name"]
    require(of_line["name"] == own, "task", of_line["name"], own)
    other = replace(from_description(of_line), loss_on=task.loss_on)
    for what in ("length", "vocab_size", "roles"):
        theirs, ours = getattr(other, what), getattr(task, what)
        require(theirs == ours, f"settings: {what}", theirs, f"{ours}, as the model's")
    return other
