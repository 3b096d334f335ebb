"""Measure runs after training."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli.arguments import Parser
from lab.cli.output import track
from lab.errors import LabError
from tasks.errors import MismatchError

if TYPE_CHECKING:
    import pandas as pd

_EXAMPLES = """\
examples:
  lab evaluate runs/first                                     loss and accuracy of the trained model
  lab evaluate runs/first --step all -o first.csv             at every step whose weights it keeps (checkpoint.keep)
  lab evaluate runs/demo --step all --measure gradients -o gradients.csv
  lab evaluate runs/demo --measure ours.measures:effective_rank
  lab tasks export star --size 500 -o ours.jsonl
  lab evaluate runs/star --data ours.jsonl
  lab evaluate runs/star --data theirs.txt -o theirs.csv      lines as 1,2|3,4|.../s,g=s,...,g"""


def run(arguments: list[str]) -> int:
    """Measure runs, print the metrics and write them if asked."""
    parser = Parser("evaluate", "Measure the models of runs after training.", epilog=_EXAMPLES)
    parser.add_argument("runs", nargs="+", help="runs, or folders of runs")
    parser.add_argument(
        "--data",
        metavar="FILE",
        help="lines of text of their task, or a file of lab tasks export (the sequences that the runs were evaluated on)",
    )
    parser.add_argument("--step", default="last", help="which kept weights: last, all, or a number of optimiser steps (last)")
    parser.add_argument(
        "--measure",
        action="append",
        default=[],
        metavar="NAME",
        help="a measure of evaluation.measures, or module:function; may be repeated (loss, accuracy and the task's metrics)",
    )
    parser.add_argument("-o", "--out", metavar="FILE", help="a .csv for the metrics")
    parser.add_force()
    args = parser.parse_args(arguments)

    from lab.runs.files import write_atomic
    from lab.runs.outputs import check_file

    if args.out is not None:
        begins = "run,task,n_future,seed," if args.data is None else "run,data,lines,"
        check_file(Path(args.out), (".csv",), begins=begins, force=args.force)
        if args.data is not None and Path(args.out).resolve() == Path(args.data).resolve():
            raise LabError(f"{args.out}: is the data itself; choose another file")

    from lab.evaluation.after_training import evaluate

    step = int(args.step) if args.step.isdecimal() else args.step
    try:
        frame = evaluate(args.runs, args.data, step=step, measures=args.measure, track=track)
    except MismatchError as error:
        raise LabError(f"{error}; `{_export_command(error)}` writes lines that fit") from error
    _print(frame)
    if args.out is not None:
        write_atomic(Path(args.out), frame.to_csv(index=False))
        print(args.out)
    return 0


def _export_command(error: MismatchError) -> str:
    """Return the command that exports instances of the model's settings."""
    options = [(f"--{name.replace('_', '-')}", json.dumps(value)) for name, value in error.settings.items()]
    return shlex.join(["lab", "tasks", "export", error.task, *(word for option in options for word in option)])


def _print(frame: pd.DataFrame) -> None:
    """Print metrics and values, with run and step where there are several."""
    from rich.console import Console

    from lab.cli.table import print_frame

    several = [name for name in ("run", "step") if frame[name].nunique() > 1]
    print_frame(
        Console(highlight=False), frame[[*several, "metric", "value"]].assign(value=frame["value"].map("{:.4f}".format))
    )
