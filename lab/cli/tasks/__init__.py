"""List the tasks; subcommands print, draw, export and inspect their data."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

import tasks
from lab.cli.arguments import Parser, split_first
from lab.cli.commands import run_command, subcommands, table
from lab.errors import LabError
from tasks.errors import nearest


def run(arguments: list[str]) -> int:
    """List the tasks, or print instances of the task that is named."""
    name, _ = split_first(arguments)
    if name is None:
        return _list(arguments)
    if name not in tasks.names() and ":" not in name:
        raise LabError(f"tasks: unknown command {name!r}; {nearest(name, [*subcommands('tasks'), *tasks.names()])}")
    return run_command(["tasks", "show", *arguments])


def _list(arguments: list[str]) -> int:
    examples = "examples:\n  lab tasks star --rows 5        as lab tasks show star\n  lab tasks inspect star"
    Parser("tasks", "List the tasks.", epilog=f"subcommands:\n{table('tasks')}\n\n{examples}").parse_args(arguments)
    listed = Table(box=None, pad_edge=False, header_style="bold")
    listed.add_column("task", no_wrap=True)
    listed.add_column("a model learns to", overflow="fold")
    for name in tasks.names():
        listed.add_row(name, tasks.find(name).summary)
    Console(highlight=False, markup=False, emoji=False).print(listed)
    return 0
