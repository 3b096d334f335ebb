"""Measure a run on instances from a file."""

from __future__ import annotations

from pathlib import Path

from lab.cli.arguments import Parser
from lab.errors import LabError

_EXAMPLES = """\
examples:
  lab tasks export star --size 500 -o ours.jsonl
  lab evaluate runs/star --data ours.jsonl
  lab evaluate runs/star --data theirs.txt -o theirs.csv      lines as 1,2|3,4|.../s,g=s,...,g"""


def run(arguments: list[str]) -> int:
    """Measure a run on the lines of a file, print the metrics and write them if asked."""
    parser = Parser("evaluate", "Measure the model of a run on instances from a file, one a line.", epilog=_EXAMPLES)
    parser.add_argument("run", help="a run's folder")
    parser.add_argument(
        "--data", required=True, metavar="FILE", help="lines of text of its task, or a file of lab tasks export"
    )
    parser.add_argument("-o", "--out", metavar="FILE", help="a .csv for the metrics")
    parser.add_force()
    args = parser.parse_args(arguments)

    from lab.runs.files import write_atomic
    from lab.runs.outputs import check_file

    if args.out is not None:
        check_file(Path(args.out), (".csv",), begins="run,data,lines,", force=args.force)
        if Path(args.out).resolve() == Path(args.data).resolve():
            raise LabError(f"{args.out}: is the data itself; choose another file")

    from rich.console import Console

    from lab.cli.table import print_frame
    from lab.evaluation.from_file import evaluate

    frame = evaluate(args.run, args.data)
    print_frame(Console(), frame[["metric", "value"]].assign(value=frame["value"].map("{:.4f}".format)))
    if args.out is not None:
        write_atomic(Path(args.out), frame.to_csv(index=False))
        print(args.out)
    return 0
