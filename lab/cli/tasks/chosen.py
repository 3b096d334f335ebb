"""A task and its settings from the command line: `TASK [options] [--SETTING VALUE ...]`."""

from __future__ import annotations

import argparse

import tasks
from lab.cli.arguments import Parser, first_word, task_from
from lab.errors import LabError
from tasks import Task


def chosen(parser: Parser, arguments: list[str]) -> tuple[Task, argparse.Namespace]:
    """The task that is named first, at the settings given, and the parser's own options.

    Raises:
        LabError: If no task is named, or an option is wrong.
        TaskError: For an unknown task or setting, or a value that it refuses.
    """
    name, left = first_word(arguments)
    known, words = parser.parse_known_args(left)
    if name is None:
        raise LabError(f"{parser.prog.removeprefix('lab ')} needs a task; known: {', '.join(tasks.names())}")
    return task_from(name, words), known


def parser_for(command: str, description: str) -> Parser:
    """The parser of `lab tasks COMMAND`."""
    return Parser(f"tasks {command}", description, usage=f"lab tasks {command} TASK [options] [--SETTING VALUE ...]")
