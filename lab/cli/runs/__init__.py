"""List runs; subcommands remove and move them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from lab.cli.arguments import Parser
from lab.cli.commands import table as list_commands
from lab.cli.output import complain, write_data
from lab.runs.listing import COLUMNS, ListedRun, check_names, choose_runs, list_runs, sort_runs
from lab.runs.status import duration

_WIDE = ("run", "task", "n", "size", "seed", "step", "value", "duration", "last", "state")
_NARROW = ("run", "n", "seed", "step", "value", "last", "state")
"""Columns by default, and on a terminal of fewer than `_WIDE_FROM` characters."""
_WIDE_FROM = 100
_UNBROKEN = 10_000
"""Width of a table that a program reads: one line for each run."""
_LEFT = ("run", "task", "metric", "started", "state", "error")
"""Columns of text."""
_EXAMPLES = """\
examples:
  lab runs                                          the runs in the folder runs
  lab runs demo/runs --where 'n_future>1' --sort=-value
  lab runs --where state=killed --columns run,last,model.heads,loss/all/1
  lab runs --json --columns run,lr,value

A run that cannot be read is listed as damaged and named on standard error; it hides no other, and the exit status is 0."""


def run(arguments: list[str]) -> int:
    """Print a table of runs."""
    columns = "\n".join(f"  {name:<9} {column.meaning}" for name, column in COLUMNS.items())
    epilog = f"columns, besides every setting and metric:\n{columns}\n\nsubcommands:\n{list_commands('runs')}\n\n{_EXAMPLES}"
    parser = Parser("runs", "List the runs in some folders.", epilog=epilog)
    parser.add_argument("folders", nargs="*", default=["runs"], help="runs, or folders of runs (runs)")
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="CONDITION",
        help="list only runs that meet it: NAME=VALUE, or with != < <= > >=; may be repeated (all runs)",
    )
    parser.add_argument("--sort", metavar="NAME", help="by this column, setting or metric; --sort=-NAME descends (by folder)")
    parser.add_argument("--columns", metavar="NAMES", help=f"columns, settings or metrics, with commas ({','.join(_WIDE)})")
    parser.add_argument("--json", action="store_true", help="print a JSON list, with all columns by default")
    args = parser.parse_args(_join_minus(arguments))
    listed = list_runs(args.folders)
    for each in listed:
        if each.status.state == "damaged":
            complain(each.status.error)
    names = None if args.columns is None else [name.strip() for name in args.columns.split(",")]
    check_names(listed, names or ())
    chosen = choose_runs(listed, args.where)
    if args.sort is not None:
        key = args.sort.removeprefix("-")
        check_names(listed, [key])
        chosen = sort_runs(chosen, key, descending=args.sort.startswith("-"))
    if args.json:
        rows = [{name: _plain(one.value(name)) for name in names or COLUMNS} for one in chosen]
        write_data(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    else:
        _print(chosen, names)
    return 0


def _join_minus(arguments: list[str]) -> list[str]:
    """Join `--sort -value`, whose value a parser takes for an option."""
    words = list(arguments)
    for place, word in enumerate(words[:-1]):
        if word == "--sort" and words[place + 1].startswith("-") and not words[place + 1].startswith("--"):
            words[place : place + 2] = [f"--sort={words[place + 1]}"]
    return words


def _print(runs: Sequence[ListedRun], names: Sequence[str] | None) -> None:
    """Print runs as a table; where no terminal is, one line for each."""
    console = Console(markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(width=_UNBROKEN, markup=False, emoji=False)
    metrics = {one.status.metric for one in runs} - {""}
    if names is None:
        names = _WIDE if console.width >= _WIDE_FROM else _NARROW
        if len(metrics) > 1:  # else it is the title of its values
            names = [each for name in names for each in (("metric", name) if name == "value" else (name,))]
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1))
    for name in names:
        title = next(iter(metrics)) if name == "value" and len(metrics) == 1 and "metric" not in names else name
        fold = name in ("run", "error") or (name == "value" and console.is_terminal)
        table.add_column(
            title,
            justify="left" if name in _LEFT else "right",
            overflow="fold",
            no_wrap=not fold,
            max_width=8 if name == "value" and console.is_terminal else None,
        )
    for one in runs:
        table.add_row(*(_format(one, name) for name in names))
    console.print(table)


def _format(run: ListedRun, name: str) -> str:
    """Return a cell for people."""
    value = run.value(name)
    if value is None:
        return "-"
    if name == "step":
        return f"{value}/{run.status.steps}"
    if name == "state":
        early = run.status.run is not None and run.status.run.record.get("reached")
        return f"{value} early" if early else str(value)
    if name == "duration":
        return duration(value)
    if name == "last":
        return f"{duration(max(0.0, (datetime.now().astimezone() - value).total_seconds()))} ago"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if name == "value" or name in run.metrics:
        return f"{value:.3f}"
    return str(value)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: a time as text, a number that is none as null."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return None if isinstance(value, float) and not math.isfinite(value) else value
