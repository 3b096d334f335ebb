"""`lab tasks`: what can be learned, and what it looks like."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

import tasks
from lab.cli.arguments import Parser, first_word, task_from
from lab.errors import LabError
from tasks import Batch, Task

COLOURS = ("white", "cyan", "yellow", "green", "magenta", "blue", "red", "bright_cyan", "bright_yellow", "bright_green")


def run(arguments: list[str]) -> int:
    """List the tasks, or show instances of one."""
    command, left = first_word(arguments)
    if command is None:
        return _list(left)
    if command == "show":
        return _show(left)
    raise LabError(f"tasks: unknown command {command!r}; there are `lab tasks` and `lab tasks show TASK`")


def _list(arguments: list[str]) -> int:
    Parser("tasks", "What can be learned, a line each. `lab tasks show TASK` prints samples.").parse_args(arguments)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("task", no_wrap=True)
    table.add_column("asks a model to", overflow="fold")
    for name in tasks.names():
        table.add_row(name, tasks.find(name).summary)
    Console().print(table)
    return 0


def _show(arguments: list[str]) -> int:
    parser = Parser(
        "tasks show", "Print instances of a task, each word coloured by its role.",
        usage="lab tasks show TASK [options] [--SETTING VALUE ...]",
    )  # fmt: skip
    parser.add_argument("--rows", type=int, default=3, help="how many (3)")
    parser.add_argument("--split", default="train", help="train, validation or test (train)")
    parser.add_argument("--seed", type=int, default=0)
    name, left = first_word(arguments)
    known, words = parser.parse_known_args(left)
    if name is None:
        raise LabError(f"tasks show needs a task; known: {', '.join(tasks.names())}")
    task = task_from(name, words)
    batch = task.batch(known.seed, 0, known.rows, known.split)
    console = Console()
    console.print(f"[bold]{name}[/]: {task.summary} ({task.source})")
    console.print(_legend(task))
    for row in range(len(batch)):
        console.print(_instance(task, batch, row))
    return 0


def _legend(task: Task) -> Text:
    text = Text("roles: ")
    for number, role in enumerate(task.roles[1:], start=1):
        floor = task.floor(role)
        text.append(role, style=_colour(number))
        text.append("  " if floor is None else f" (floor {floor:.3g} nats)  ")
    return text


def _instance(task: Task, batch: Batch, row: int) -> Text:
    """The words of one row; without colours, a role's name stands before its words wherever it changes."""
    text = Text(f"{row + 1:>3}  ")
    before = ""
    plain = not Console().is_terminal
    for word, role in task.show(batch, row):
        if plain and role != before:
            text.append(f"[{role}] ")
        text.append(f"{word} ", style=_colour(task.role(role)))
        before = role
    begin, end = batch.answer[row].tolist()
    if end > begin:
        text.append(f"  (prompt {begin} tokens, answer {end - begin})", style="dim")
    return text


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]
