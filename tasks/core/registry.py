"""The table of tasks, and how a name or a description becomes a task."""

from __future__ import annotations

import importlib
import inspect
import typing
from dataclasses import fields
from importlib.metadata import entry_points
from operator import attrgetter
from typing import Any

from tasks.core.base import Task
from tasks.errors import TaskError, nearest

TASKS: dict[str, str] = {
    "induction": "tasks.induction:Induction",
    "stories": "tasks.stories:Stories",
    "bigram": "tasks.bigram:Bigram",
    "markov": "tasks.markov:Markov",
    "belief": "tasks.belief:Belief",
    "choice": "tasks.choice:Choice",
    "recall": "tasks.recall:Recall",
    "agreement": "tasks.agreement:Agreement",
    "discovery": "tasks.discovery:Discovery",
    "star": "tasks.star:Star",
    "modular": "tasks.modular:Modular",
    "polynomial": "tasks.polynomial:Polynomial",
    "addition": "tasks.addition:Addition",
    "maze": "tasks.maze:Maze",
    "countdown": "tasks.countdown:Countdown",
    "satisfiability": "tasks.satisfiability:Satisfiability",
    "spelled": "tasks.spelled:Spelled",
}
"""`module:Class` of each task of this package, by name."""
ENTRY_POINTS = "mtp_lab.tasks"
"""The group of entry points in which installed packages name their tasks."""


def names() -> list[str]:
    """List the names of all tasks: those of this package, then those of installed packages."""
    return [*TASKS, *sorted(point.name for point in entry_points(group=ENTRY_POINTS) if point.name not in TASKS)]


def find(name: str) -> type[Task]:
    """Return the class of a task.

    Args:
        name: One of `names()`, or `module:Class` of a task outside this package.

    Raises:
        TaskError: If there is no such class, or it is not a task.
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
    """Build a task with the given settings, and defaults for the others.

    Raises:
        TaskError: For an unknown task or setting, or a value that the task rejects.
    """
    if "name" in settings:
        raise TaskError(f"{name} has no setting 'name'; the task is named first")
    return from_description({**settings, "name": name})


def from_description(description: object, *, check_files: bool = True) -> Task:
    """Build a task from its description.

    Args:
        description: A `Task.description` (a `name` and settings), a name alone, or a task, which is returned as it is.
        check_files: Whether files that settings name, such as a corpus, must exist and be usable.

    Raises:
        TaskError: As `get`, or if this is not a description.
    """
    if isinstance(description, Task):
        return description
    if not isinstance(description, (str, dict)):
        raise TaskError(f"task must be a name, or a mapping with a name and settings, not {description!r}")
    settings: dict[str, Any] = {"name": description} if isinstance(description, str) else dict(description)
    if "name" not in settings:
        raise TaskError(f"task must have a name; known: {', '.join(names())}")
    name = str(settings.pop("name"))
    kind = find(name)
    allowed = [field.name for field in fields(kind)]
    for setting in settings:
        if not isinstance(setting, str):
            raise TaskError(f"a setting of {name} must be a name, not {setting!r}")
        if setting not in allowed:
            raise TaskError(f"{name} has no setting {setting!r}; {nearest(setting, allowed)}")
    for setting in settings.keys() & _task_settings(kind):
        try:
            settings[setting] = from_description(settings[setting], check_files=check_files)
        except TaskError as error:
            raise TaskError(f"{kind.name}.{setting}: {error}") from error
    task = kind(**settings)
    if check_files:
        task.check_files()
    return task


def _task_settings(kind: type[Task]) -> set[str]:
    """Return the names of the settings that are tasks themselves."""
    hints = typing.get_type_hints(kind)
    return {field.name for field in fields(kind) if isinstance(hint := hints[field.name], type) and issubclass(hint, Task)}


def _load(path: str) -> type[Task]:
    """Import a task by its path `module:Class`."""
    module, _, attribute = path.partition(":")
    try:
        kind = attrgetter(attribute)(importlib.import_module(module))  # a class can be within another
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise TaskError(f"task {path!r} cannot be imported: {error}") from error
    if not (isinstance(kind, type) and issubclass(kind, Task)) or inspect.isabstract(kind):
        raise TaskError(f"task {path!r} is not a tasks.Task")
    return kind
