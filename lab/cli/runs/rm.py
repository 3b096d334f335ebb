"""Remove runs that no process trains."""

from __future__ import annotations

import sys
from pathlib import Path

from lab.cli.arguments import Parser
from lab.errors import LabError
from lab.runs.manage import check_runs, remove_runs, sweep_of
from lab.runs.status import read_statuses

_EPILOG = """\
All of the runs are removed, or none: one that a process trains, a folder that is no run, and a link are errors. A sweep counts
a run that is removed as missing; the same `lab sweep` trains it again if the sweep is a grid.

examples:
  lab runs rm runs/first
  lab runs rm runs/old/seed* --yes        without a question, as a script needs it"""


def run(arguments: list[str]) -> int:
    """Remove runs after a question."""
    parser = Parser("runs rm", "Remove runs that no process trains, with everything in their folders.", epilog=_EPILOG)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folder of a run")
    parser.add_argument("--yes", action="store_true", help="remove without a question")
    args = parser.parse_args(arguments)
    paths = [Path(word) for word in args.runs]
    check_runs(paths)
    if not args.yes and not _confirms(paths):
        print("nothing removed")
        return 0
    sweeps = {path: sweep_of(path) for path in paths}
    remove_runs(paths)
    for path, sweep in sweeps.items():
        print(f"removed {path}{f' of the sweep in {sweep}, which counts it as missing' if sweep else ''}")
    return 0


def _confirms(paths: list[Path]) -> bool:
    """Show the runs and ask whether to remove them.

    Raises:
        LabError: If nobody can answer.
    """
    if not sys.stdin.isatty():
        raise LabError("runs rm: standard input is no terminal, so that nobody can be asked: give --yes")
    for path in paths:
        status = read_statuses(path)[0]
        sweep = sweep_of(path)
        print(f"{path}  {status.state}, step {status.step}/{status.steps}{f', of the sweep in {sweep}' if sweep else ''}")
    try:
        return input("remove them? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False
