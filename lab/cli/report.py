"""Write a page about runs or a sweep: curves, tables, comparisons, and what failed."""

from __future__ import annotations

import shlex
from pathlib import Path

from lab.cli.arguments import Parser, setting_names

_EXAMPLES = """\
examples:
  lab report runs -o report.html                   every run below a folder
  lab report sweeps/rate.yaml -o report.html       a sweep, at any time
  lab report runs/a runs/b --by n_future,width -o report.md"""


def run(arguments: list[str]) -> int:
    """Write the page and print its path."""
    parser = Parser("report", "Write one self-contained page about any runs, of any tasks and settings.", epilog=_EXAMPLES)
    add_runs(parser)
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="the page: .html, or .md without figures")
    parser.add_force()
    args = parser.parse_args(arguments)

    from lab.sweeping.report import check_page, write_page
    from lab.sweeping.sources import find

    out = Path(args.out)
    check_page(out, force=args.force)
    found = find(args.runs, args.storage)
    by = None if args.by is None else setting_names(args.by)
    write_page(found, found.read(), out, f"lab {shlex.join(['report', *arguments])}", metric=args.metric, by=by)
    print(out)
    return 0


def add_runs(parser: Parser) -> None:
    """Add the arguments that name runs and what is shown of them."""
    parser.add_argument("runs", nargs="+", help="runs, folders of runs, or sweeps (YAML file or folder)")
    parser.add_argument("--metric", default="", help="what is drawn and compared (each task's headline metric)")
    parser.add_argument("--by", help="settings that distinguish conditions, separated by commas; the first is compared (all)")
    parser.add_argument("--storage", metavar="URL", help="of the sweeps (a journal beside their runs)")
