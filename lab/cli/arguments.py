"""Arguments that all commands share: options with errors of one line, and settings by dotted name."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from lab.errors import LabError

if TYPE_CHECKING:
    from tasks import Task

RENAMED = {"together": "ensemble", "at-once": "ensemble-size"}
"""Earlier names of options."""


class _StoreOnce(argparse.Action):
    """Store a value, which must neither be empty, as an unset variable of a shell leaves it, nor be given twice."""

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


def _whole(text: str) -> int:
    """Read a whole number, which may be written as 1e3."""
    try:
        return int(text)
    except ValueError:
        if "e" in text.lower() and (number := float(text)).is_integer():
            return int(number)
        raise


class Intercepted(Exception):
    """A command's parser, just before it would parse.

    Attributes:
        parser: The parser.
    """

    def __init__(self, parser: Parser) -> None:
        super().__init__()
        self.parser = parser


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Writes the metavariable of an option once: `-o, --out DIR`."""

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        values = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {values}"


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line.

    Attributes:
        intercept: Whether to raise `Intercepted` instead of parsing, so that `lab completion` sees each command's options.
    """

    intercept: ClassVar[bool] = False

    def __init__(self, command: str, description: str, **options: Any) -> None:
        super().__init__(
            prog=f"lab {command}",
            description=description,
            allow_abbrev=False,
            formatter_class=_Formatter,
            **options,
        )
        self.given: set[str] = set()
        self.register("action", None, _StoreOnce)  # what `add_argument` does without an action
        self.register("type", int, _whole)

    def add_force(self) -> None:
        """Add the option to replace files that this laboratory did not write."""
        self.add_argument("--force", action="store_true", help="replace files that no lab command wrote")

    def parse_known_args(self, *args: Any, **options: Any) -> Any:
        if Parser.intercept:
            raise Intercepted(self)
        return super().parse_known_args(*args, **options)

    def error(self, message: str) -> NoReturn:
        raise LabError(f"{self.prog.removeprefix('lab ')}: {message}")


def parse_settings(words: list[str], full_name: Callable[[str, Any], str] | None = None) -> dict[str, Any]:
    """Parse settings from the rest of a command line: `--n-future 2 --model.heads=causal`.

    Values are read as YAML. Dashes in names are underscores.

    Args:
        words: The rest of the command line.
        full_name: Maps a written name and its value to the dotted name; by default, that of an experiment's setting.

    Returns:
        Values by dotted name.

    Raises:
        LabError: For a word that is no setting, and a setting that has no value, is given twice or has another name now.
    """
    from lab.config import names
    from lab.config.yaml import read_yaml

    settings: dict[str, Any] = {}
    written: dict[str, str] = {}
    full_name = full_name or names.full_name
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--") or word == "--":
            raise LabError(f"unexpected argument {word!r}; settings are given as --name value")
        name, equals, value = word[2:].partition("=")
        if name in RENAMED:
            raise LabError(f"--{name}: is now called --{RENAMED[name]}")
        if not equals:
            if not rest or (rest[0].startswith("--")):
                raise LabError(f"setting --{name} needs a value")
            value = rest.pop(0)
        plain = read_yaml(value, f"--{name}")
        dotted = full_name(name.replace("-", "_"), plain)
        if dotted in settings:
            first = written[dotted]
            raise LabError(f"setting --{name} is given twice{'' if first == name else f', once as --{first}'}")
        settings[dotted], written[dotted] = plain, name
    return settings


def parse_task(name: str, words: list[str]) -> Task:
    """Return the task that `lab train NAME` trains, with settings from a command line.

    Both `--vocabulary 64` and `--task.vocabulary 64` set the task's `vocabulary`.

    Args:
        name: Name of the task.
        words: The rest of the command line; a setting of a task within the task is `--task.task.vocabulary`.

    Raises:
        LabError: As `parse_settings`.
        TaskError: For an unknown task or setting, or a value that the task rejects.
    """
    import tasks
    from lab.config.files import changed, defaults

    allowed = {field.name for field in fields(tasks.find(name))}

    def full(dotted: str, _: Any) -> str:
        first, _, rest = dotted.partition(".")
        of_experiment = first == "task" and (rest.partition(".")[0] in allowed or "task" not in allowed)
        return dotted if of_experiment else f"task.{dotted}"

    settings = parse_settings(words, full)
    for taken in ("task", "task.name"):
        if taken in settings:
            raise LabError(f"{name} has no setting {taken.removeprefix('task.')!r}; the task is named first, without dashes")
    return tasks.from_description(changed(defaults(name), settings)["task"])


def setting_names(words: str) -> list[str]:
    """Return the dotted names of settings from words separated by commas, as `lr,n-future`."""
    from lab.config.names import full_name

    return [full_name(setting) for setting in words.replace("-", "_").split(",")]


def split_first(arguments: list[str]) -> tuple[str | None, list[str]]:
    """Return the first argument, if it is no option, and the rest.

    A parser would take the value of a setting for it.
    """
    if arguments and not arguments[0].startswith("-"):
        return arguments[0], arguments[1:]
    return None, arguments
