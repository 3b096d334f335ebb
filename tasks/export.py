"""Write instances to files for other programs, and read instances from their files.

A file has an instance on each line, either as plain text (`Task.format`), or as a JSON object with that text under `line` and
all that is needed to draw the instance again:

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
from tasks.core.batch import Batch, join
from tasks.core.registry import from_description
from tasks.core.text import with_newlines
from tasks.errors import MismatchError, TaskError, shown
from tasks.settings import require, whole_number

_TOO_LONG = re.compile(r"[0-9]{4000}")
"""Finds numbers that may have more digits than Python reads (4300)."""


def export_lines(task: Task, split: str = "test", size: int = 2000, seed: int = 0) -> Iterator[str]:
    """Yield instances of a task as lines of JSON.

    Each instance is a batch of its own, so that a longer file begins with the lines of a shorter one.

    Args:
        task: Draws the instances.
        split: `train`, `validation` or `test`.
        size: Number of instances, 1 or more.
        seed: Seed of the stream.

    Raises:
        TaskError: For a wrong argument.
    """
    size = whole_number("size", size)
    settings = task.description
    name = settings.pop("name")
    for index in range(size):
        line = task.format(task.batch(seed, index, 1, split))
        fields = {"line": line, "task": name, "settings": settings, "split": split, "seed": seed, "index": index}
        yield json.dumps(fields, ensure_ascii=False)


def read_file(path: Path | str, task: Task) -> Batch:
    """Read all instances of a file, in order.

    The settings of a line of JSON may differ from the task's if its length, roles and vocabulary are the same.

    Args:
        path: A file with lines of text, or of JSON as `export_lines` writes them.
        task: The task of the instances.

    Raises:
        TaskError: If the file cannot be read, or a line is wrong; the message has the number of the first wrong line.
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
            rows.append(_read_line(line, task))
        except MismatchError as error:
            raise MismatchError(f"{path}, line {number}: {error}", error.task, error.settings) from error
        except TaskError as error:
            raise TaskError(f"{path}, line {number}: {error}") from error
    return join(rows)


def _read_line(line: str, task: Task) -> Batch:
    """Read an instance from a line of text or of JSON."""
    if not line.strip():
        raise TaskError("is empty")
    if not line.lstrip().startswith("{"):
        return _parse(task, line)
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
        return _parse(task, text)
    require(isinstance(name, str), "task", name, "a task's name")
    require(settings is None or isinstance(settings, dict), "settings", settings, "a mapping of settings")
    return _parse(_compatible_task(task, json.dumps({**(settings or {}), "name": name}, sort_keys=True)), text)


def _parse(task: Task, text: str) -> Batch:
    """Read an instance from a line of text, and check its length."""
    if _TOO_LONG.search(text):
        raise TaskError("holds a number of thousands of digits")
    row = task.parse(text)
    require(row.tokens.shape == (1, task.length), "the number of tokens", row.tokens.shape[1], str(task.length))
    return row


@lru_cache(maxsize=64)
def _compatible_task(task: Task, description: str) -> Task:
    """Build the task that a line of JSON states, and reject it if its sequences do not fit a model of `task`."""
    stated: dict[str, Any] = json.loads(description)
    name = task.description["name"]
    require(stated["name"] == name, "task", stated["name"], name)
    other = replace(from_description(stated), loss_on=task.loss_on)
    for what in ("length", "vocab_size", "roles"):
        expected, found = getattr(task, what), getattr(other, what)
        if found != expected:
            pairs = [(setting, shown(value), shown(task.settings[setting])) for setting, value in other.settings.items()]
            differing = "; ".join(f"{setting} is {value}, the model's {own}" for setting, value, own in pairs if value != own)
            message = f"settings: {what} must be {shown(expected)}, as the model's, not {shown(found)} ({differing})"
            raise MismatchError(message, name, task.changed_settings)
    return other
