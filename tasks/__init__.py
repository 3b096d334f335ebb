"""What a model can be asked to learn, and what the right answer is. Needs numpy only.

    >>> import tasks
    >>> task = tasks.get("induction", vocabulary=16, period=(4, 8), length=24)
    >>> task.batch(seed=0, index=0, size=2).tokens.shape
    (2, 24)

A new task is one file here and one line in `TASKS`. A user's own is `package.module:Class`, or an entry point in the group
`mtp_lab.tasks`.
"""

from __future__ import annotations

import importlib
import inspect
from dataclasses import fields
from importlib.metadata import entry_points
from typing import Any

from tasks.base import PADDING, Batch, Task
from tasks.errors import TaskError, nearest
from tasks.streams import SPLITS

TASKS: dict[str, str] = {
    "induction": "tasks.induction:Induction",
    "stories": "tasks.stories:Stories",
    "bigram": "tasks.bigram:Bigram",
    "markov": "tasks.markov:Markov",
    "recall": "tasks.recall:Recall",
    "agreement": "tasks.agreement:Agreement",
    "discovery": "tasks.discovery:Discovery",
    "star": "tasks.star:Star",
    "modular": "tasks.modular:Modular",
    "polynomial": "tasks.polynomial:Polynomial",
    "addition": "tasks.addition:Addition",
    "maze": "tasks.maze:Maze",
    "spelled": "tasks.spelled:Spelled",
}
ENTRY_POINTS = "mtp_lab.tasks"


def names() -> list[str]:
    """Every task that can be had by name: ours, then those that installed packages bring."""
    return [*TASKS, *sorted(point.name for point in entry_points(group=ENTRY_POINTS) if point.name not in TASKS)]


def find(name: str) -> type[Task]:
    """The class of a task.

    Args:
        name: One of `names()`, or `module:Class` of a task outside this package.

    Raises:
        TaskError: If there is none, or it is not a task.
    """
    if name in TASKS:
        return _load(TASKS[name])
    for point in entry_points(group=ENTRY_POINTS):
        if point.name == name:
            return _load(point.value)
    if ":" in name:
        return _load(name)
    raise TaskError(f"unknown task {name!r}; {nearest(name, names())}")


def get(name: str, /, **settings: Any) -> Task:
    """A task with these settings and defaults for the others.

    Raises:
        TaskError: For an unknown task or setting, or a value that it refuses.
    """
    kind = find(name)
    known = [field.name for field in fields(kind)]
    for setting in settings:
        if setting not in known:
            raise TaskError(f"{name} has no setting {setting!r}; {nearest(setting, known)}")
    return kind(**settings)


def describe(description: object) -> Task:
    """The task that is described: by `Task.description` (its `name` and settings), by its name alone, or by itself.

    Raises:
        TaskError: As `get`, or if it is no description.
    """
    if isinstance(description, Task):
        return description
    if isinstance(description, str):
        return get(description)
    if not isinstance(description, dict):
        raise TaskError(f"task must be a name, or a mapping with a name and settings, not {description!r}")
    if "name" not in description:
        raise TaskError(f"task must have a name; known: {', '.join(names())}")
    settings = dict(description)
    return get(str(settings.pop("name")), **settings)


def _load(path: str) -> type[Task]:
    module, _, attribute = path.partition(":")
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise TaskError(f"task {path!r} cannot be imported: {error}") from error
    if not (isinstance(kind, type) and issubclass(kind, Task)) or inspect.isabstract(kind):
        raise TaskError(f"task {path!r} is not a tasks.Task")
    return kind


__all__ = ["PADDING", "SPLITS", "TASKS", "Batch", "Task", "TaskError", "describe", "find", "get", "names"]
