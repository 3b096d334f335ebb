"""Train the experiments of a sweep, or resume it after any stop."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lab.cli.arguments import Parser, split_first
from lab.errors import LabError
from lab.processes import resumable

if TYPE_CHECKING:
    from rich.console import Console

    from lab.sweeping.results import Results

FAILED = 1
_MISSING_SHOWN = 10


def run(arguments: list[str]) -> int:
    """Start or resume a sweep, show its status, or open its dashboard."""
    word, rest = split_first(arguments)
    if word == "show":
        return _show(rest)
    if word == "dashboard":
        return _dashboard(rest)
    args = _options().parse_args(arguments)
    for name, value in (("--workers", args.workers), ("--per-device", args.per_device)):
        if value is not None and value < 1:
            raise LabError(f"sweep: {name} must be at least 1, not {value}")
    if args.address is not None and args.engine != "ray":
        raise LabError("sweep: --address is for --engine ray")

    from rich.console import Console

    from lab.sweeping.prepare import prepare
    from lab.sweeping.run import run as run_sweep
    from lab.sweeping.workers.settings import Workers

    prepared = prepare(args.file, args.out, args.storage, loggers=[] if args.log is None else args.log.split(","))
    workers = Workers(args.workers, args.engine, args.address, args.per_device)
    if args.plan:
        print(prepared.plan().text(workers.count_here(prepared.demand)))
        return 0
    console = Console(highlight=False)
    with resumable("stopped; run the same command again to continue"):
        results = run_sweep(prepared, workers, console, retry_failed=args.retry_failed)
    results.write()
    report(console, results)
    console.out(f"tables  {prepared.job.place.runs_table}, {prepared.job.place.frame_table}", highlight=False)
    if results.failure():
        print(f"lab: {results.failure()}", file=sys.stderr)
    return FAILED if results.failure() else 0


def _options() -> Parser:
    parser = _parser(
        "sweep",
        "Train the experiments of a sweep, or resume it after any stop: the same command does both.\n"
        "lab sweep show FILE       its status and results, at any time\n"
        "lab watch FILE -o PAGE    its learning curves as a page that reloads\n"
        "lab sweep dashboard FILE  its study in Optuna's dashboard\n"
        "docs/sweeps.md describes the file.",
        "sweep why.yaml --plan                 how many runs and about how long",
        "sweep why.yaml --workers 2            train, or resume",
        "sweep why.yaml --retry-failed",
    )
    parser.add_argument("--plan", action="store_true", help="print the number of runs and their cost, and stop")
    parser.add_argument("--workers", type=int, metavar="K", help="concurrent runs (one for each core, or GPU)")
    parser.add_argument("--per-device", type=int, default=1, metavar="K", help="workers that share a GPU (1)")
    parser.add_argument("--engine", choices=("local", "ray"), default="local", help="processes of this machine, or Ray (local)")
    parser.add_argument("--address", help="of a Ray cluster, as auto or ray://host:10001 (one on this machine)")
    parser.add_argument(
        "--log", metavar="LOGGERS", help="where else to log: tensorboard, wandb, mlflow, or several with commas"
    )
    parser.add_argument("--retry-failed", action="store_true", help="train the failed runs of a grid once more")
    return parser


def _show(arguments: list[str]) -> int:
    """Print the status of a sweep without writing anything, so that read access is enough."""
    examples = ("sweep show why.yaml", "sweep show why.yaml --out elsewhere/why")
    parser = _parser("sweep show", "Print the status and results of a sweep, at any time; writes nothing.", *examples)
    args = parser.parse_args(arguments)

    from rich.console import Console

    from lab.sweeping.run import look

    report(Console(highlight=False), look(args.file, args.out, args.storage))
    return 0


def _dashboard(arguments: list[str]) -> int:
    """Serve optuna-dashboard until Ctrl-C."""
    examples = ("sweep dashboard why.yaml", "sweep dashboard why.yaml --port 8081")
    parser = _parser("sweep dashboard", "Serve a sweep's study to a browser, until Ctrl-C.", *examples)
    parser.add_argument("--port", type=int, default=8080, help="of this machine (8080)")
    args = parser.parse_args(arguments)

    from lab.sweeping.prepare import prepare
    from lab.sweeping.study.dashboard import serve

    job = prepare(args.file, args.out, args.storage).job
    serve(job, args.port)
    return 0


def _parser(command: str, description: str, *examples: str) -> Parser:
    parser = Parser(command, description, epilog="\n  lab ".join(["examples:", *examples]))
    parser.add_argument("file", help="the sweep as YAML")
    parser.add_argument("-o", "--out", metavar="DIR", help="folder of the runs (runs/<name of the file>)")
    parser.add_argument("--storage", metavar="URL", help="postgresql://user@host/database (a journal in the folder)")
    return parser


def report(console: Console, results: Results) -> None:
    """Print a sweep's configurations and its missing runs."""
    from lab.cli.table import print_frame

    print_frame(console, results.configurations().map(lambda value: f"{value:.4g}" if isinstance(value, float) else value))
    console.out(f"\n{results.sentence()}", highlight=False)
    missing = results.missing()
    for line in missing[:_MISSING_SHOWN]:
        console.out(f"  {line}", highlight=False)
    if len(missing) > _MISSING_SHOWN:
        console.out(f"  and {len(missing) - _MISSING_SHOWN} more", highlight=False)
