"""`lab tasks`: what can be learned, what it looks like, and what can be said of its data. One file for each subcommand."""

from __future__ import annotations

import importlib

from rich.console import Console
from rich.table import Table

import tasks
from lab.cli.arguments import Parser, first_word
from lab.errors import LabError
from tasks.errors import nearest

COMMANDS = {
    "show": "print instances, roles marked",
    "draw": "draw instances, a cell a token",
    "gallery": "draw every task into a folder",
    "export": "write a test set, an instance a line",
    "certify": "count instances, measure overlap between splits, chance, floors, speed",
}


def run(arguments: list[str]) -> int:
    """List the tasks, or run a subcommand on one; a task alone is shown."""
    command, left = first_word(arguments)
    if command is None:
        return _list(left)
    if command in tasks.names() or ":" in command:
        command, left = "show", [command, *left]
    if command not in COMMANDS:
        raise LabError(f"tasks: unknown command {command!r}; {nearest(command, [*COMMANDS, *tasks.names()])}")
    status: int = importlib.import_module(f"lab.cli.tasks.{command}").run(left)
    return status


def _list(arguments: list[str]) -> int:
    listed = "\n".join(f"  lab tasks {name:<8} {line}" for name, line in COMMANDS.items())
    Parser("tasks", "What can be learned, a line each.", epilog=f"also:\n{listed}").parse_args(arguments)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("task", no_wrap=True)
    table.add_column("asks a model to", overflow="fold")
    for name in tasks.names():
        table.add_row(name, tasks.find(name).summary)
    Console().print(table)
    return 0
