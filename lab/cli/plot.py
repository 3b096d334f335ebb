"""Draw a figure of some runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.cli.arguments import ALIASES, Parser
from lab.errors import LabError
from tasks.errors import nearest

if TYPE_CHECKING:
    from lab.runs import Run

FIGURES = {
    "emergence": "a metric against tokens seen, a line for each condition with its band",
    "induction": "induction score of the strongest attention head against tokens seen",
    "heatmap": "prefix-matching score of every attention head, by layer",
    "grid": "a metric over conditions and sizes, each cell with its interval",
    "size": "a metric against the model's size, a line for each condition",
    "survival": "share of runs that have not passed a threshold yet",
    "gradients": "what each prediction head's loss asks of the trunk, and how far heads agree, against tokens seen",
    "pareto": "a metric against a cost, and the cells that no other beats in both",
    "importance": "which of the varied settings it takes to be among the best cells",
    "parallel": "every cell as a line through its settings and what it reached",
}
OPTIONS = {
    "metric": ("emergence", "grid", "size", "survival", "pareto", "importance", "parallel"),
    "by": ("emergence", "induction", "heatmap", "grid", "size", "survival", "pareto", "gradients"),
    "x": ("emergence",),
    "rule": ("grid", "size", "pareto", "importance", "parallel"),
    "threshold": ("survival",),
    "cost": ("pareto",),
}
"""Which figures an option is for."""


def run(arguments: list[str]) -> int:
    """Draw a figure of some runs and save it with its numbers."""
    listed = "\n".join(f"  {name:<10} {line}" for name, line in FIGURES.items())
    parser = Parser(
        "plot", "Draw a figure of some runs; its numbers are written as CSV beside it.", epilog=f"figures:\n{listed}"
    )
    parser.add_argument("figure", help="one of those below")
    parser.add_argument("runs", nargs="+", help="runs, or folders of runs")
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="a .png, .pdf or .svg")
    parser.add_argument("--metric", help="what to draw (the task's own)")
    parser.add_argument(
        "--by", metavar="SETTINGS", help="what tells conditions apart, as n_future,objective.name (all that varies)"
    )
    parser.add_argument("--x", metavar="AXIS", help="tokens, scored, sequences, steps, flops or seconds (tokens)")
    parser.add_argument("--rule", choices=("last", "best"), help="which evaluation of a run counts (last)")
    parser.add_argument("--threshold", type=float, help="what a run must pass to escape the plateau (0.5)")
    parser.add_argument("--cost", help="parameters, flops, seconds or tokens (parameters)")
    parser.add_force()
    args = parser.parse_args(arguments)
    if args.figure not in FIGURES:
        raise LabError(f"unknown figure {args.figure!r}; {nearest(args.figure, FIGURES)}")
    given = {name: getattr(args, name) for name in OPTIONS if getattr(args, name) is not None}
    for name in given:
        if args.figure not in OPTIONS[name]:
            raise LabError(f"--{name} is for {', '.join(OPTIONS[name])}, not {args.figure}")
    if "by" in given:
        given["by"] = [ALIASES.get(name, name) for name in given["by"].replace("-", "_").split(",")]

    from lab.plots.save import check_path

    check_path(Path(args.out), force=args.force)
    for path in _draw(args.figure, args.runs, given, Path(args.out)):
        print(path)
    return 0


def _draw(name: str, folders: list[str], options: dict[str, Any], out: Path) -> list[Path]:
    from lab import plots
    from lab.runs import frame, open_runs
    from lab.runs.names import shared_lines

    runs = open_runs([Path(folder) for folder in folders])
    if name in OPTIONS["metric"] and "metric" not in options:
        options["metric"] = _common_metric(runs)
    if name in ("emergence", "size"):
        options["lines"] = shared_lines([run.experiment for run in runs], options["metric"])
    with plots.style():
        axes, numbers = plots.FIGURES[name](frame(runs), **options)
        saved = plots.save(axes, numbers, out)
    for line in numbers.attrs["notes"]:
        print(f"lab: {line}", file=sys.stderr)
    return saved


def _common_metric(runs: list[Run]) -> str:
    """The headline that the runs' tasks share."""
    from lab.runs.names import headline

    metrics = sorted({headline(run.experiment) for run in runs})
    if len(metrics) > 1:
        raise LabError(f"the runs are of tasks with different metrics ({', '.join(metrics)}): give --metric")
    return metrics[0]
