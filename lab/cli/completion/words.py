"""The words that can follow on a command line of `lab`, as its parsers have them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lab.cli.arguments import Intercepted, Parser
from lab.cli.commands import COMMANDS, run_command, subcommands

SHELLS = ("bash", "zsh", "fish")
"""Shells that have a script."""


@dataclass
class Words:
    """All words, by context: the words before, without options, such as `tasks show star`.

    Attributes:
        following: Words that can follow in a context: commands, names and options.
        values: Values of an option that has a list of them, by context and option.
        flags: Options without a value.
    """

    following: dict[str, list[str]] = field(default_factory=dict)
    values: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)

    def shared_values(self) -> dict[tuple[str, str], list[str]]:
        """Return `values` with one entry of an empty context for each option whose values are the same in all contexts."""
        shared: dict[tuple[str, str], list[str]] = {}
        for (context, option), values in self.values.items():
            everywhere = {tuple(each) for (_, other), each in self.values.items() if other == option}
            shared["" if len(everywhere) == 1 else context, option] = values
        return shared


def collect() -> Words:
    """Collect the words of every command from its parser."""
    words = Words()
    words.following[""] = [*subcommands(), "help", "--help", "--version"]
    words.following["help"] = list(subcommands())
    for command in COMMANDS:
        names = list(_names(command))
        _add(words, command, [*subcommands(command), *names])
        for name in names if command in _OWN_OPTIONS else ():
            _add(words, f"{command} {name}", [])
    for name in _tasks():
        _add(words, f"tasks {name}", [])
    return words


def _add(words: Words, context: str, names: list[str]) -> None:
    """Add the options of a context's parser after some names."""
    words.following[context] = names
    parser = parser_of(context)
    for action in parser._actions:
        words.following[context] += action.option_strings
        words.flags |= set(action.option_strings) if action.nargs == 0 else set()
        for option in action.option_strings:
            if known := [str(value) for value in action.choices or _OPTION_VALUES.get(option, tuple)()]:
                words.values[context, option] = known


def parser_of(context: str) -> argparse.ArgumentParser:
    """Return the parser of a command line, whose options may depend on its first words."""
    Parser.intercept = True
    try:
        run_command(context.split())
    except Intercepted as found:
        return found.parser
    finally:
        Parser.intercept = False
    raise AssertionError(f"{context}: parses no arguments")


def _tasks() -> Iterable[str]:
    import tasks

    return tasks.names()


def _figures() -> Iterable[str]:
    from lab.plots import FIGURES

    return FIGURES


def _instruments() -> Iterable[str]:
    from lab.inspection.instruments import INSTRUMENTS

    return INSTRUMENTS


def _studies() -> Iterable[str]:
    from lab.reproduce import STUDIES

    return STUDIES


def _settings() -> Iterable[str]:
    from lab.config.files import setting_names
    from lab.config.names import SHORT

    return [*SHORT, *setting_names()]


def _columns() -> Iterable[str]:
    from lab.runs.listing import COLUMNS

    return [*COLUMNS, *_settings()]


def _styles() -> Iterable[str]:
    from lab.plots.page import FONTS

    return FONTS


def _measures() -> Iterable[str]:
    from lab.config.evaluation import MEASURES

    return MEASURES


def _splits() -> Iterable[str]:
    from tasks import SPLITS

    return SPLITS


_OPTION_VALUES: dict[str, Callable[[], Iterable[str]]] = {
    "--by": _settings,
    "--within": _settings,
    "--sort": _columns,
    "--columns": _columns,
    "--style": _styles,
    "--measure": _measures,
    "--split": _splits,
}
"""Values of options whose parsers accept others too, as several with commas; the commands check them."""
_OWN_OPTIONS: dict[str, Callable[[], Iterable[str]]] = {
    "train": _tasks,
    **{f"tasks {command}": _tasks for command in ("show", "draw", "export", "inspect")},
    "plot": _figures,
    "inspect": _instruments,
}
"""Names that can follow a command and have options of their own."""
_NAMES: dict[str, Callable[[], Iterable[str]]] = {
    **_OWN_OPTIONS,
    "tasks": _tasks,
    "reproduce": _studies,
    "completion": lambda: SHELLS,
    "sweep": lambda: ("show", "dashboard"),
}
"""All names that can follow a command."""


def _names(command: str) -> Iterable[str]:
    return _NAMES[command]() if command in _NAMES else ()
