"""Draw a figure of some runs."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.cli.arguments import Parser, setting_names, split_first
from lab.cli.options import description, function_options
from lab.cli.page import add_page_options, page_of, reference_lines_of
from lab.errors import LabError
from lab.loading import without_collection

if TYPE_CHECKING:
    import pandas as pd

    from lab.plots import Draw, Page

_MEASURED = {
    "acceptance": "lab.evaluation.decoded_runs:decode_runs",
    "speedup": "lab.evaluation.decoded_runs:time_runs",
}
"""Functions of runs that measure what a figure draws, where that is not the metrics of their training."""
_NO_OPTIONS = ("lines", "axes", "expected", "labels")
"""Arguments of figures that a command line cannot give."""


def run(arguments: list[str]) -> int:
    """Draw a figure of some runs and save it with its numbers."""
    with without_collection():
        from lab import plots
        from lab.plots.save import check_path

    name, rest = split_first(arguments)
    draw = None if name is None else plots.find_figure(name)
    parser = Parser(f"plot {name}" if draw else "plot", _description(draw), epilog=_examples(name) if name else _list_figures())
    if draw is None:
        parser.add_argument("figure", help="one of those below, or module:function of your own; `lab plot FIGURE --help`")
    parser.add_argument("runs", nargs="+", help="runs, folders of runs, or one saved frame (.csv, .csv.gz)")
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="a .png, .pdf or .svg")
    options = {} if draw is None else function_options(draw, skip=1, leave_out=_NO_OPTIONS)
    for option, settings in options.items():
        parser.add_argument(f"--{option.replace('_', '-')}", dest=option, **settings)
    add_page_options(parser, lines=draw is not None and "lines" in inspect.signature(draw).parameters)
    parser.add_force()
    args = parser.parse_args(rest)
    if name is None or draw is None:
        raise LabError("plot: the figure comes first, as `lab plot emergence runs -o figure.png`")
    given = {option: getattr(args, option) for option in options if getattr(args, option) is not None}
    if "by" in given:
        given["by"] = setting_names(given["by"])
    page, lines = page_of(args), reference_lines_of(args)
    check_path(Path(args.out), force=args.force)
    for path in _draw(draw, _frame_of(name, args.runs, draw, given, lines), given, page, Path(args.out)):
        print(path)
    return 0


def _examples(name: str) -> str:
    return f"examples:\n  lab plot {name} runs/demo -o {name}.pdf\n  lab plot {name} runs/first runs/second -o {name}.png"


def _description(draw: Draw | None) -> str:
    if draw is None:
        return "Draw a figure of some runs; its numbers are written as CSV beside it."
    return description(draw)


def _list_figures() -> str:
    from lab.plots import FIGURES

    listed = "\n".join(f"  {name:<10} {_description(draw)}" for name, draw in FIGURES.items())
    return f"figures:\n{listed}\n\n{_examples('emergence')}"


def _draw(draw: Draw, table: pd.DataFrame, options: dict[str, Any], page: Page, out: Path) -> list[Path]:
    from lab import plots

    figure, numbers = plots.draw(draw, table, **options, page=page)
    saved = plots.save(figure, numbers, out)
    for line in numbers.attrs.get("notes", ()):
        print(f"lab: {line}", file=sys.stderr)
    return saved


def _frame_of(name: str, paths: list[str], draw: Draw, options: dict[str, Any], lines: dict[str, float]) -> pd.DataFrame:
    """Return the frame that a figure draws, and add the metric and the reference values to its options.

    They are those of the runs; of a saved frame, whose runs may be gone, only the metric is known.
    """
    from lab.registry import load_object
    from lab.runs import frame, open_runs
    from lab.runs.frames import is_frame, read_frame
    from lab.runs.names import common_headline, headline_of, shared_lines

    parameters = inspect.signature(draw).parameters
    saved = [path for path in paths if is_frame(path)]
    if saved and len(paths) > 1:
        raise LabError(f"plot: {saved[0]} is a frame: give it alone, or folders of runs")
    if saved:
        table = read_frame(saved[0])
        if "metric" in parameters and "metric" not in options:
            if (metric := headline_of(table)) is None:
                raise LabError(f"{saved[0]}: the frame does not determine the metric: give --metric")
            options["metric"] = metric
        known: dict[str, float] = {}
    else:
        runs = open_runs([Path(folder) for folder in paths])
        if "metric" in parameters and "metric" not in options:
            options["metric"] = common_headline([run.experiment for run in runs])
        known = shared_lines([run.experiment for run in runs], options["metric"]) if "lines" in parameters else {}
        table = load_object(_MEASURED[name], "figure")(runs) if name in _MEASURED else frame(runs)
    if "lines" in parameters:
        options["lines"] = known | lines
    return table
