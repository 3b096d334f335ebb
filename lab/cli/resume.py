"""`lab resume`: on from where a run stopped."""

from __future__ import annotations

from lab.cli.arguments import Parser


def run(arguments: list[str]) -> int:
    """Go on with a run."""
    parser = Parser(
        "resume",
        "Go on with a run that was stopped or killed. It ends with the same metrics as a run that was never stopped.",
        epilog="example:\n  lab resume runs/first",
    )
    parser.add_argument("run", help="the run's folder")
    known = parser.parse_args(arguments)

    from rich.console import Console

    from lab.cli.train import report
    from lab.processes import rank
    from lab.runs import Run
    from lab.training import resume
    from lab.training.progress import progress_for

    opened = Run(known.run)
    done = resume(opened, progress=progress_for(opened.experiment, Console()))
    if rank() == 0:
        print(report(done))
    return 0
