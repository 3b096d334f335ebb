"""Move or rename a run that no process trains."""

from __future__ import annotations

from pathlib import Path

from lab.cli.arguments import Parser
from lab.runs.manage import move_run

_EPILOG = """\
The run stays the same, since its files name no place. A run that a process trains and a run of a sweep, which would miss it,
are not moved; nothing is replaced.

examples:
  lab runs mv runs/first runs/agreement-n2
  lab runs mv runs/first archive          into the folder archive, if there is one"""


def run(arguments: list[str]) -> int:
    """Move a run and print its new folder."""
    parser = Parser("runs mv", "Move or rename a run that no process trains.", epilog=_EPILOG)
    parser.add_argument("run", metavar="RUN", help="folder of the run")
    parser.add_argument("target", metavar="TARGET", help="its new folder, or an existing folder to hold it")
    args = parser.parse_args(arguments)
    print(move_run(Path(args.run), Path(args.target)))
    return 0
