"""Compare the conditions of some runs in one table, over pairs of seeds."""

from __future__ import annotations

import sys
from pathlib import Path

from lab.cli.arguments import Parser, setting_names
from lab.cli.output import write_data
from lab.errors import LabError

_FORMATS = ("txt", "md", "tex", "csv", "json")
_EPILOG = """\
A condition is a value of --by; its runs differ in the seed alone, and runs of one seed are paired. The table has the mean
of each condition, its difference from the first (or --baseline) with a 90 % interval, the p-value of an exact permutation
test, the same corrected by Holm over the table, and the least value that this can have (docs/statistics.md).

examples:
  lab compare demo/runs/induction                              by the one setting that varies
  lab compare runs/grid --by n_future --within width -o grid.tex
  lab compare runs/star --solved 0.95                          how many runs solve the task, and the onset
  lab compare runs/agreement --at onset --format md            tokens until the metric reaches 0.5"""


def run(arguments: list[str]) -> int:
    """Compare conditions, print the table and write it if asked."""
    parser = Parser("compare", "Compare the conditions of some runs in one table, over pairs of seeds.", epilog=_EPILOG)
    parser.add_argument("runs", nargs="+", help="runs, folders of runs, or one saved frame (.csv, .csv.gz)")
    parser.add_argument(
        "--by", metavar="SETTING", help="what distinguishes conditions; several with commas (the one that varies)"
    )
    parser.add_argument("--within", metavar="SETTING", help="in what compared runs agree; several with commas (nothing)")
    parser.add_argument("--metric", help="such as accuracy/copy/1 (the headline of the task)")
    parser.add_argument(
        "--at",
        metavar="WHERE",
        default="end",
        help="end or best evaluation of each run; or the tokens until onset (0.5), completion (0.9) or another number (end)",
    )
    parser.add_argument("--baseline", metavar="VALUE", help="of --by, with which the others are compared (the first)")
    parser.add_argument(
        "--solved",
        metavar="VALUE",
        type=float,
        help="value from which on a run counts as solved: adds the share of such runs, and the onset (none)",
    )
    parser.add_argument(
        "-o", "--out", metavar="FILE", help=f"a file for the table: {', '.join(f'.{name}' for name in _FORMATS)}"
    )
    parser.add_argument("--format", choices=_FORMATS, default="txt", help="of what is printed (txt)")
    parser.add_force()
    args = parser.parse_args(arguments)

    from lab.config.yaml import read_yaml
    from lab.reports.compare import compare
    from lab.reports.comparison import FORMATS, check_out
    from lab.runs.frames import is_frame, read_frame

    out = None if args.out is None else Path(args.out)
    if out is not None:
        check_out(out, force=args.force)
    saved = [path for path in args.runs if is_frame(path)]
    if saved and len(args.runs) > 1:
        raise LabError(f"compare: {saved[0]} is a frame: give it alone, or folders of runs")
    table = compare(
        read_frame(saved[0]) if saved else args.runs,
        None if args.by is None else setting_names(args.by),
        within=[] if args.within is None else setting_names(args.within),
        metric=args.metric,
        at=_number(args.at),
        baseline=None if args.baseline is None else read_yaml(args.baseline, "--baseline"),
        solved=args.solved,
    )
    write_data(FORMATS[f".{args.format}"](table))
    if args.format == "csv":
        for line in table.notes:
            print(f"lab: {line}", file=sys.stderr)
    if out is not None:
        print(table.write(out))
    return 0


def _number(word: str) -> str | float:
    try:
        return float(word)
    except ValueError:
        return word
