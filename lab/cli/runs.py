"""Print a table of the runs in some folders."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lab.cli.arguments import Parser
from lab.errors import LabError
from lab.runs import Run, open_runs
from lab.runs.names import headline

_EXAMPLES = """\
examples:
  lab runs                      the runs in the folder runs
  lab runs demo/runs runs/first
  lab runs | grep stopped       one line for each run in a pipe"""
_UNBROKEN = 10_000
"""Width of a table that a program reads: one line for each run."""


def run(arguments: list[str]) -> int:
    """Print a table of runs."""
    parser = Parser("runs", "Print a table of the runs in some folders.", epilog=_EXAMPLES)
    parser.add_argument("folders", nargs="*", default=["runs"], help="runs, or folders of runs (runs)")
    args = parser.parse_args(arguments)
    opened = open_runs(args.folders)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1))
    table.add_column("run", overflow="fold", ratio=1)
    for title in ("n", "L x d", "seed", "step"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("metric", overflow="fold")
    for title in ("value", "s"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for each in opened:
        table.add_row(*map(escape, _cells(each)))
    console = Console()
    (console if console.is_terminal else Console(width=_UNBROKEN)).print(table)
    return 0


def _cells(opened: Run) -> list[str]:
    experiment, name = opened.experiment, headline(opened.experiment)
    try:
        rows, timing = opened.metrics(), opened.seconds()
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        rows, timing = [], {}
    step, state = rows[-1].step if rows else 0, opened.state
    state = f"{state} early" if opened.record.get("reached") else state
    seconds = max(float(opened.record["wall_seconds"]), *timing.values(), 0.0)
    values = [row.value for row in rows if row.metric == name]
    return [
        str(opened.path),
        str(experiment.n_future),
        f"{experiment.model.layers}x{experiment.model.width}",
        str(experiment.seed),
        f"{step}/{experiment.steps}",
        name,
        f"{values[-1]:.3f}" if values else "-",
        f"{seconds:.0f}",
        f"{state}, {opened.last_sign:%Y-%m-%d %H:%M}" if state in ("running", "killed") else state,
    ]
