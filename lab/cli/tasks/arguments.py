"""Arguments of the commands on one task: `TASK [options] [--SETTING VALUE ...]`."""

from __future__ import annotations

import argparse

import tasks
from lab.cli.arguments import Parser, parse_task, split_first
from lab.errors import LabError
from tasks import Task


def task_parser(command: str, description: str, *examples: str) -> Parser:
    """Return a parser for `lab tasks COMMAND`.

    Args:
        command: The command.
        description: Its description.
        examples: Words after the command.
    """
    lines = "\n".join(f"  lab tasks {command} {words}" for words in examples)
    more = f"`lab tasks {command} TASK --help` has the settings of a task; their defaults are those of `lab train`."
    usage = f"lab tasks {command} TASK [options] [--SETTING VALUE ...]"
    return Parser(f"tasks {command}", description, usage=usage, epilog=f"examples:\n{lines}\n\n{more}")


def add_stream(parser: Parser, split: str) -> None:
    """Add the options that select a split and a seed.

    Args:
        parser: Of a command.
        split: The default.
    """
    parser.add_argument("--split", default=split, help=f"{', '.join(tasks.SPLITS)} ({split})")
    parser.add_argument("--seed", type=int, default=0, help="seed of the stream of sequences (0)")


def parse_arguments(parser: Parser, arguments: list[str]) -> tuple[Task, argparse.Namespace]:
    """Return the task that the first argument names, with the given settings, and the values of the parser's options.

    Raises:
        LabError: If no task is named, or an option is wrong.
        TaskError: For an unknown task or setting, or a value that the task rejects.
    """
    name, rest = split_first(arguments)
    if name is not None and ({"-h", "--help"} & set(rest) or Parser.intercept):
        from lab.cli.settings import add_group
        from lab.config.overview import describe_task

        described = [each._replace(name=each.name.removeprefix("task.")) for each in describe_task(tasks.find(name))]
        add_group(parser, f"task {name}", described, {})
    args, words = parser.parse_known_args(rest)
    if name is None:
        raise LabError(f"{parser.prog.removeprefix('lab ')} needs a task; known: {', '.join(tasks.names())}")
    return parse_task(name, words), args
