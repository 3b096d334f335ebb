"""Resume a run that was stopped or killed."""

from __future__ import annotations

from lab.cli.arguments import Parser


def run(arguments: list[str]) -> int:
    """Resume a run."""
    parser = Parser(
        "resume",
        "Resume a run that was stopped or killed. It ends with the metrics of a run that was never stopped.",
        epilog="examples:\n  lab resume runs/first\n  lab resume runs/many/seed3        one of several seeds",
    )
    parser.add_argument("run", help="the run's folder")
    args = parser.parse_args(arguments)

    from rich.console import Console

    from lab.cli.train import describe_end
    from lab.processes import rank
    from lab.runs import Run
    from lab.training import resume
    from lab.training.progress import progress_for

    opened = Run(args.run)
    done = resume(opened, progress=progress_for(opened.experiment, Console(highlight=False)))
    if rank() == 0:
        print(describe_end(done))
    return 0
