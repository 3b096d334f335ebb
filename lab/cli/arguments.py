"""Arguments that all commands share: one line of complaint, and settings by their dotted names."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NoReturn

from lab.errors import LabError

if TYPE_CHECKING:
    from tasks import Task

ALIASES = {
    "size": "model.size",
    "width": "model.width",
    "layers": "model.layers",
    "n_heads": "model.n_heads",
    "heads": "model.heads",
    "matched": "model.matched",
    "lr": "optimiser.peak_lr",
    "objective": "objective.name",
}
"""Short names of settings that are often changed."""


class _StoreOnce(argparse.Action):
    """Store a value; one that is empty, as an unset variable of a shell leaves it, or given twice is an error."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        assert isinstance(parser, Parser)
        name = option or self.dest
        if "" in (values if isinstance(values, list) else [values]):
            parser.error(f"{name} must not be empty")
        if option is not None and self.dest in parser.given:
            parser.error(f"{name} is given twice")
        parser.given.add(self.dest)
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """A parser that complains in one line."""

    def __init__(self, command: str, description: str, **options: Any) -> None:
        super().__init__(
            prog=f"lab {command}",
            description=description,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **options,
        )
        self.given: set[str] = set()
        self.register("action", None, _StoreOnce)  # what `add_argument` does without an action

    def add_force(self) -> None:
        """Add the option that lets a command replace files which it did not write."""
        self.add_argument("--force", action="store_true", help="replace files that no such command wrote")

    def error(self, message: str) -> NoReturn:
        raise LabError(f"{self.prog.removeprefix('lab ')}: {message}")


def settings_from(words: list[str], full_name: Callable[[str], str] = lambda name: ALIASES.get(name, name)) -> dict[str, Any]:
    """Parse settings by dotted name from what is left of a command line: `--n-future 2 --model.heads=causal`.

    Values are read as YAML. Dashes in names are underscores.

    Args:
        words: What is left.
        full_name: From the name that is written to the dotted one; by default a setting's of an experiment.

    Raises:
        LabError: For a word that is no setting, a setting without value or one given twice.
    """
    from lab.config.yaml import read_yaml

    settings: dict[str, Any] = {}
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("--") or word == "--":
            raise LabError(f"unexpected argument {word!r}; settings are given as --name value")
        name, equals, value = word[2:].partition("=")
        if not equals:
            if not left or (left[0].startswith("--")):
                raise LabError(f"setting --{name} needs a value")
            value = left.pop(0)
        dotted = full_name(name.replace("-", "_"))
        if dotted in settings:
            raise LabError(f"setting --{name} is given twice")
        settings[dotted] = read_yaml(value, f"--{name}")
    return settings


def task_from(name: str, words: list[str]) -> Task:
    """The task of `lab train NAME` with settings from a command line: `--vocabulary 64` or `--task.vocabulary 64`.

    Args:
        name: The task's.
        words: What is left of the command line; a setting of a task within the task is `--task.task.vocabulary`.

    Raises:
        LabError: As `settings_from`.
        TaskError: For an unknown task or setting, or a value that it refuses.
    """
    import tasks
    from lab.config.files import changed, defaults

    known = {field.name for field in fields(tasks.find(name))}

    def full(dotted: str) -> str:
        first, _, rest = dotted.partition(".")
        of_experiment = first == "task" and (rest.partition(".")[0] in known or "task" not in known)
        return dotted if of_experiment else f"task.{dotted}"

    settings = settings_from(words, full)
    for taken in ("task", "task.name"):
        if taken in settings:
            raise LabError(f"{name} has no setting {taken.removeprefix('task.')!r}; the task is named first, without dashes")
    return tasks.from_description(changed(defaults(name), settings)["task"])


def first_word(arguments: list[str]) -> tuple[str | None, list[str]]:
    """The first argument if it is no option, and the rest; a parser would take the value of a setting for it."""
    if arguments and not arguments[0].startswith("-"):
        return arguments[0], arguments[1:]
    return None, arguments
