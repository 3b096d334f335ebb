"""Draw a figure of some runs."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.cli.arguments import Parser, setting_names, split_first
from lab.cli.options import description, function_options
from lab.errors import LabError

if TYPE_CHECKING:
    from lab.plots import Draw
    from lab.runs import Run

_MEASURED = {
    "acceptance": "lab.evaluation.decoded_runs:decode_runs",
    "speedup": "lab.evaluation.decoded_runs:time_runs",
}
"""Functions of runs that measure what a figure draws, where that is not the metrics of their training."""
_NO_OPTIONS = ("lines", "axes")
"""Arguments of figures that a command line cannot give."""


def run(arguments: list[str]) -> int:
    """Draw a figure of some runs and save it with its numbers."""
    from lab import plots
    from lab.plots.save import check_path

    name, rest = split_first(arguments)
    draw = None if name is None else plots.find_figure(name)
    parser = Parser(f"plot {name}" if draw else "plot", _description(draw), epilog=None if draw else _list_figures())
    if draw is None:
        parser.add_argument("figure", help="one of those below, or module:function of your own; `lab plot FIGURE --help`")
    parser.add_argument("runs", nargs="+", help="runs, or folders of runs")
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="a .png, .pdf or .svg")
    options = {} if draw is None else function_options(draw, skip=1, leave_out=_NO_OPTIONS)
    for option, settings in options.items():
        parser.add_argument(f"--{option}", **settings)
    parser.add_force()
    args = parser.parse_args(rest)
    if name is None or draw is None:
        raise LabError("plot: the figure comes first, as `lab plot emergence runs -o figure.png`")
    given = {option: getattr(args, option) for option in options if getattr(args, option) is not None}
    if "by" in given:
        given["by"] = setting_names(given["by"])
    check_path(Path(args.out), force=args.force)
    for path in _draw(name, draw, args.runs, given, Path(args.out)):
        print(path)
    return 0


def _description(draw: Draw | None) -> str:
    if draw is None:
        return "Draw a figure of some runs; its numbers are written as CSV beside it."
    return description(draw)


def _list_figures() -> str:
    from lab.plots import FIGURES

    return "figures:\n" + "\n".join(f"  {name:<10} {_description(draw)}" for name, draw in FIGURES.items())


def _draw(name: str, draw: Draw, folders: list[str], options: dict[str, Any], out: Path) -> list[Path]:
    from lab import plots
    from lab.registry import load_object
    from lab.runs import frame, open_runs
    from lab.runs.names import shared_lines

    runs, parameters = open_runs([Path(folder) for folder in folders]), inspect.signature(draw).parameters
    if "metric" in parameters and "metric" not in options:
        options["metric"] = _common_metric(runs)
    if "lines" in parameters:
        options["lines"] = shared_lines([run.experiment for run in runs], options["metric"])
    table = load_object(_MEASURED[name], "figure")(runs) if name in _MEASURED else frame(runs)
    with plots.style():
        figure, numbers = draw(table, **options)
        saved = plots.save(figure, numbers, out)
    for line in numbers.attrs.get("notes", ()):
        print(f"lab: {line}", file=sys.stderr)
    return saved


def _common_metric(runs: list[Run]) -> str:
    """Return the headline that the runs' tasks share."""
    from lab.runs.names import headline

    metrics = sorted({headline(run.experiment) for run in runs})
    if len(metrics) > 1:
        raise LabError(f"the runs are of tasks with different metrics ({', '.join(metrics)}): give --metric")
    return metrics[0]
