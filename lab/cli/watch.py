"""Show runs or a sweep with their curves until all have ended."""

from __future__ import annotations

import shlex
from pathlib import Path

from lab.cli.arguments import Parser, setting_names
from lab.cli.output import has_no_reader
from lab.cli.report import add_runs
from lab.errors import LabError
from lab.processes import resumable

_EXAMPLES = """\
examples:
  lab watch runs                            a line for each run, until all have ended
  lab watch sweeps/rate.yaml -o rate.html   also a page that a browser reloads by itself"""


def run(arguments: list[str]) -> int:
    """Show the runs."""
    parser = Parser("watch", "Show runs or a sweep with their learning curves until all have ended.", epilog=_EXAMPLES)
    add_runs(parser)
    parser.add_argument("-o", "--out", metavar="FILE", help="a page to write again and again: .html")
    parser.add_argument("--every", type=float, default=5.0, metavar="S", help="seconds between two looks (5)")
    parser.add_force()
    args = parser.parse_args(arguments)
    if not 0.1 <= args.every <= 3600:
        raise LabError(f"watch: --every must be between 0.1 and 3600, not {args.every:g}")
    if args.by is not None and args.out is None:
        raise LabError("watch: --by is for a page: give --out")

    from rich.console import Console

    from lab.sweeping.report import check_page
    from lab.sweeping.sources import find
    from lab.sweeping.watch import Page, watch_runs

    if args.out is not None:
        check_page(Path(args.out), force=args.force)
    found = find(args.runs, args.storage)
    page = None
    if args.out is not None:
        by = None if args.by is None else setting_names(args.by)
        command = f"lab {shlex.join(['watch', *arguments])}"
        page = Page(found, Path(args.out), command, args.metric, by, args.every)
    with resumable("no longer watched; the runs go on"):
        watch_runs(found, Console(), page, metric=args.metric, every=args.every, unread=has_no_reader)
    return 0
