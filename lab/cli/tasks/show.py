"""Print instances of a task with their roles."""

from __future__ import annotations

import json

from rich.console import Console
from rich.text import Text

from lab.cli.tasks.arguments import add_stream, parse_arguments, task_parser
from tasks import Batch, Task
from tasks.settings import require

MOST = 100_000
"""Most instances that are printed."""

COLOURS = ("white", "cyan", "yellow", "green", "magenta", "blue", "red", "bright_cyan", "bright_yellow", "bright_green")


def run(arguments: list[str]) -> int:
    """Print instances of a task, each word coloured by its role."""
    parser = task_parser(
        "show", "Print instances of a task, each word coloured by its role.", "star", "recall --pairs 3 --rows 5 --split test"
    )
    parser.add_argument("--rows", type=int, default=3, help="number of instances (3)")
    add_stream(parser, "train")
    task, args = parse_arguments(parser, arguments)
    require(1 <= args.rows <= MOST, "rows", args.rows, f"between 1 and {MOST}")
    batch = task.batch(args.seed, 0, args.rows, args.split)
    console = Console(highlight=False)
    console.print(Text.assemble((task.name, "bold"), f": {task.summary} ({task.source})"))
    console.print(_settings(task), markup=False)
    console.print(_legend(task))
    for row in range(len(batch)):
        console.print(_instance(task, batch, row))
    return 0


def _settings(task: Task) -> str:
    """Describe the settings in one line, and which are not those of `lab train`."""
    changed = ", ".join(task.changed_settings)
    values = ", ".join(f"{name} {json.dumps(value)}" for name, value in task.settings.items())
    return f"settings: {values} ({f'changed: {changed}' if changed else 'the defaults, as of lab train'})"


def _legend(task: Task) -> Text:
    text = Text("roles: ")
    for number, role in enumerate(task.roles[1:], start=1):
        floor = task.floor(role)
        text.append(role, style=_colour(number))
        text.append("  " if floor is None else f" (floor {floor:.3g} nats)  ")
    return text


def _instance(task: Task, batch: Batch, row: int) -> Text:
    """Format one instance; where there are no colours, the name of a role stands before its words."""
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
