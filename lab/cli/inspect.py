"""Look inside the networks of some runs with an instrument."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.cli.arguments import Parser, setting_names, split_first
from lab.cli.options import description, function_options
from lab.cli.output import track
from lab.cli.page import add_page_options, page_of
from lab.errors import LabError
from lab.runs.outputs import PICTURES

if TYPE_CHECKING:
    import pandas as pd

    from lab.inspection.instruments import Instrument
    from lab.plots import Page

_ROWS, _COMPARED = 40, 4000
"""Rows of a table that are printed at most; means whose differences are tested at most, since each takes milliseconds."""
_LISTED = """\
The frame of an instrument has one row for each run, step and coordinate. It is written beside a figure, and a saved frame
stands for its runs: `lab inspect NAME frame.csv -o figure.pdf`.
docs/inspection.md says how each instrument is read, and what it cannot show.

examples:
  lab inspect rank runs/demo -o rank.png
  lab inspect probe runs/first --step all -o probe.csv"""


def run(arguments: list[str]) -> int:
    """Apply an instrument to some runs, print means and paired differences, write the figure and the frame."""
    name, rest = split_first(arguments)
    if name is None:
        parser = Parser("inspect", "Look inside the networks of some runs with an instrument.", epilog=_list_instruments())
        parser.add_argument("instrument", help="one of those below; `lab inspect INSTRUMENT --help` describes its options")
        parser.add_argument("runs", nargs="+", help="runs, or folders of runs")
        parser.parse_args(rest)
        raise LabError("inspect: the instrument comes first, as `lab inspect rank runs -o rank.png`")

    from lab.inspection.instruments import find_instrument

    instrument = find_instrument(name)
    measured = function_options(instrument.load_measure(), skip=2)
    drawn = function_options(instrument.load_draw(), skip=1, leave_out=("by", "axes"))
    parser = _parser(name, instrument, measured, drawn)
    args = parser.parse_args(rest)
    given, drawing = (
        {option: getattr(args, option) for option in options if getattr(args, option) is not None}
        for options in (measured, drawn)
    )
    by = None if args.by is None else setting_names(args.by)
    out, page = None if args.out is None else Path(args.out), page_of(args)
    if out is not None:
        _check_out(out, instrument, force=args.force)
    frame = _frame(name, args, given)
    _print(frame, instrument, by)
    if out is not None:
        for path in _write(frame, instrument, out, {"by": by, **drawing}, page):
            print(path)
    return 0


def _parser(name: str, instrument: Instrument, measured: dict[str, Any], drawn: dict[str, Any]) -> Parser:
    suffixes = ", ".join(_suffixes(instrument))
    examples = f"""examples:
  lab inspect {name} runs/demo -o {name}.png
  lab inspect {name} runs/demo --step all --by n_future -o {name}.csv"""
    parser = Parser(f"inspect {name}", description(instrument.load_measure()), epilog=examples)
    parser.add_argument("runs", nargs="+", help="runs, folders of runs, or one frame that this command wrote")
    parser.add_argument("-o", "--out", metavar="FILE", help=f"a figure with its frame, or the frame alone: {suffixes}")
    parser.add_argument("--step", default="last", help="which kept weights: last, all, or a number of optimiser steps (last)")
    parser.add_argument("--by", help="settings that distinguish conditions, separated by commas (all that vary)")
    for option, settings in {**measured, **drawn}.items():
        parser.add_argument(f"--{option.replace('_', '-')}", dest=option, **settings)
    add_page_options(parser)
    parser.add_force()
    return parser


def _check_out(out: Path, instrument: Instrument, *, force: bool) -> None:
    from lab.plots.save import check_path
    from lab.runs.outputs import check_file

    if out.suffix in PICTURES:
        check_path(out, force=force)
    elif out.suffix == ".html" and instrument.page:
        check_file(out, (".html",), begins="<!doctype html>", force=force)
    else:
        check_file(out, _suffixes(instrument), begins="run,task,", force=force)


def _suffixes(instrument: Instrument) -> tuple[str, ...]:
    """Return the kinds of files that can be written."""
    return (*PICTURES, *([".html"] if instrument.page else []), ".csv")


def _frame(name: str, args: Any, options: dict[str, Any]) -> pd.DataFrame:
    from lab.inspection.inspect import inspect, read_frame

    if [Path(path).suffix for path in args.runs] == [".csv"]:
        if options or args.step != "last":
            raise LabError(f"inspect: {args.runs[0]} is a frame that was measured before: give no options of the measure")
        return read_frame(name, args.runs[0])
    step = args.step if args.step in ("last", "all") or not args.step.isdecimal() else int(args.step)
    return inspect(name, args.runs, step=step, track=track, **options)


def _print(frame: pd.DataFrame, instrument: Instrument, by: list[str] | None) -> None:
    from rich.console import Console

    from lab.cli.table import print_frame
    from lab.registry import load_object
    from lab.stats.bootstrap import counted
    from lab.stats.inspected import condition_means, paired_differences
    from lab.stats.paired import ALPHA

    coordinates = list(instrument.coordinates)
    console = Console(width=None if sys.stdout.isatty() else 200)
    means = condition_means(frame, coordinates, by).table
    if len(means) <= _ROWS:
        print_frame(console, _shortened(means))
    else:
        of = counted(means["condition"].nunique(), "condition")
        print(f"{len(means)} means of {of}: too many to print; --out writes the frame")
    if means["condition"].nunique() > 1 and means["seeds"].max() > 1 and len(means) <= _COMPARED:
        compared = frame[frame["control"] == "none"] if "control" in frame else frame  # controls are no effects of a condition
        differences = paired_differences(compared, coordinates, by)
        order = differences.assign(size=-differences["difference"].abs()).sort_values(["p_value", "size"]).index
        found = differences.loc[order].head(_ROWS // 2)
        print(f"\npaired differences, the {len(found)} of {len(differences)} with the least p-values, the largest first")
        print_frame(console, _shortened(found))
        if (least := differences["p_least"].min()) > ALPHA:
            print(f"with {len(differences)} rows no corrected p-value can be below {least:.2g}: compare fewer")
    if instrument.summary:
        for title, table in load_object(instrument.summary, "instrument")(frame, by).items():
            print(f"\n{title}")
            print_frame(console, table)


def _shortened(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table for people: numbers to three digits, an interval in one column, no column that is the same everywhere."""
    numbers = {
        name: ["" if value != value else f"{value:.3g}" for value in table[name]]
        for name in table.select_dtypes("float").columns
    }
    both = zip(numbers.pop("low"), numbers.pop("high"), strict=True)
    numbers["90 % interval"] = [f"[{low}, {high}]" if low else "" for low, high in both]
    shown = table.drop(columns=["low", "high"]).assign(**numbers)
    return shown.drop(columns=[name for name in ("step", "90 % interval") if shown[name].nunique() == 1])


def _write(frame: pd.DataFrame, instrument: Instrument, out: Path, options: dict[str, Any], page: Page) -> list[Path]:
    from lab import plots
    from lab.registry import load_object
    from lab.runs.files import write_atomic

    if out.suffix == ".csv":
        write_atomic(out, frame.to_csv(index=False))
        return [out]
    if out.suffix == ".html":
        write_atomic(out, load_object(instrument.page, "instrument")(frame))
        return [out]
    draw = instrument.load_draw()
    known = inspect.signature(draw).parameters
    figure, _ = plots.draw(draw, frame, **{name: value for name, value in options.items() if name in known}, page=page)
    return plots.save(figure, frame, out)


def _list_instruments() -> str:
    from lab.inspection.instruments import INSTRUMENTS

    lines = [f"  {name:<14} {description(each.load_measure())}" for name, each in INSTRUMENTS.items()]
    return "\n".join(["instruments:", *lines, "", _LISTED])
