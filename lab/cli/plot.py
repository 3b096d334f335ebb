"""`lab plot`: a figure of some runs."""

from __future__ import annotations

from pathlib import Path

from lab.cli.arguments import Parser
from lab.errors import LabError
from tasks.errors import nearest

FIGURES = {
    "emergence": "a metric against tokens seen, a line for each n with its band",
    "induction": "induction score of the strongest attention head against tokens seen",
    "heatmap": "prefix-matching score of every attention head, by layer",
}


def run(arguments: list[str]) -> int:
    """Draw a figure of some runs and save it with its numbers."""
    listed = "\n".join(f"  {name:<10} {line}" for name, line in FIGURES.items())
    parser = Parser(
        "plot", "Draw a figure of some runs; its numbers are written as CSV beside it.", epilog=f"figures:\n{listed}"
    )
    parser.add_argument("figure", help="one of those below")
    parser.add_argument("runs", nargs="+", help="runs, or folders of runs")
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="a .png, .pdf or .svg")
    parser.add_argument("--metric", help="what to draw against tokens seen (the task's own)")
    known = parser.parse_args(arguments)
    if known.figure not in FIGURES:
        raise LabError(f"unknown figure {known.figure!r}; {nearest(known.figure, FIGURES)}")
    if known.metric and known.figure != "emergence":
        raise LabError(f"--metric is for the figure emergence, not {known.figure}")

    from lab.plots.save import check_path

    check_path(Path(known.out))
    for path in _draw(known.figure, known.runs, known.metric, Path(known.out)):
        print(path)
    return 0


def _draw(name: str, folders: list[str], metric: str | None, out: Path) -> list[Path]:
    from lab import plots
    from lab.runs import open_runs
    from lab.runs.frames import frame
    from lab.runs.names import headline, reference_lines

    runs = open_runs([Path(folder) for folder in folders])
    table = frame(runs)
    with plots.style():
        if name != "emergence":
            axes, numbers = plots.FIGURES[name](table)
        else:
            metrics = {metric or headline(run.experiment) for run in runs}
            if len(metrics) > 1:
                raise LabError(f"the runs are of tasks with different metrics ({', '.join(sorted(metrics))}): give --metric")
            chosen = metrics.pop()
            axes, numbers = plots.emergence(table, chosen, lines=reference_lines(runs[0].experiment, chosen))
        return plots.save(axes.figure, numbers, out)  # type: ignore[arg-type]
