"""`lab sweep`: many experiments, whatever happens meanwhile."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lab.cli.arguments import Parser, first_word
from lab.errors import LabError
from lab.processes import resumable

if TYPE_CHECKING:
    from rich.console import Console

    from lab.sweeping.results import Results

FAILED = 1
_MISSING_SHOWN = 10


def run(arguments: list[str]) -> int:
    """Start a sweep or go on with it, show what it has come to, or open its dashboard."""
    word, rest = first_word(arguments)
    if word == "show":
        return _show(rest)
    if word == "dashboard":
        return _dashboard(rest)
    parser = _parser(
        "sweep",
        "Train the experiments of a sweep, or go on with it after any stop: the same command does both.\n"
        "lab sweep show FILE       its status and results, at any time\n"
        "lab sweep dashboard FILE  its study in a browser\n"
        "docs/sweeps.md says what stands in the file.",
    )
    parser.add_argument("--plan", action="store_true", help="print what it would cost, and stop")
    parser.add_argument("--workers", type=int, metavar="K", help="runs at a time (one for each core, or GPU)")
    parser.add_argument("--per-device", type=int, default=1, metavar="K", help="workers that share a GPU (1)")
    parser.add_argument("--engine", choices=("local", "ray"), default="local", help="processes of this machine, or Ray (local)")
    parser.add_argument("--address", help="of a Ray cluster, as auto or ray://host:10001 (one on this machine)")
    parser.add_argument("--retry-failed", action="store_true", help="try the failed runs of a grid once more")
    known = parser.parse_args(arguments)
    for name, value in (("--workers", known.workers), ("--per-device", known.per_device)):
        if value is not None and value < 1:
            raise LabError(f"sweep: {name} must be at least 1, not {value}")
    if known.address is not None and known.engine != "ray":
        raise LabError("sweep: --address is for --engine ray")

    from rich.console import Console

    from lab.sweeping.engine import prepare, run_locally, run_on_cluster
    from lab.sweeping.workers.local import default_workers

    prepared = prepare(known.file, known.out, known.storage)
    workers = known.workers or default_workers(prepared.threads, prepared.devices, known.per_device)
    if known.plan:
        from lab.sweeping.spec.plan import plan

        print(plan(prepared).text(workers))
        return 0
    console = Console()
    with resumable("stopped; the same command goes on"):
        if known.engine == "ray":
            results = run_on_cluster(
                prepared, known.workers, console, per_device=known.per_device, address=known.address,
                retry_failed=known.retry_failed,
            )  # fmt: skip
        else:
            results = run_locally(prepared, workers, console, retry_failed=known.retry_failed)
    results.write()
    report(console, results)
    console.out(f"tables  {prepared.job.place.runs_table}, {prepared.job.place.frame_table}", highlight=False)
    if results.failure():
        print(f"lab: {results.failure()}", file=sys.stderr)
    return FAILED if results.failure() else 0


def _show(arguments: list[str]) -> int:
    """Print the state of a sweep; nothing is written, so that anybody who can read it can ask."""
    parser = _parser("sweep show", "Print the status and results of a sweep, at any time; writes nothing.")
    known = parser.parse_args(arguments)

    from rich.console import Console

    from lab.sweeping.engine import look

    report(Console(), look(known.file, known.out, known.storage))
    return 0


def _dashboard(arguments: list[str]) -> int:
    """Serve optuna-dashboard until Ctrl-C."""
    parser = _parser("sweep dashboard", "A sweep's study in a browser, until Ctrl-C.")
    parser.add_argument("--port", type=int, default=8080, help="of this machine (8080)")
    known = parser.parse_args(arguments)

    from lab.sweeping.engine import prepare
    from lab.sweeping.study.dashboard import serve

    job = prepare(known.file, known.out, known.storage).job
    serve(job, known.port)
    return 0


def _parser(command: str, description: str) -> Parser:
    parser = Parser(command, description)
    parser.add_argument("file", help="the sweep as YAML")
    parser.add_argument("-o", "--out", metavar="DIR", help="folder of the runs (runs/<name of the file>)")
    parser.add_argument("--storage", metavar="URL", help="postgresql://user@host/database (a journal in the folder)")
    return parser


def report(console: Console, results: Results) -> None:
    """Print a sweep's cells, and what is missing of it."""
    from lab.cli.table import print_frame

    print_frame(console, results.cells().map(lambda value: f"{value:.4g}" if isinstance(value, float) else value))
    console.out(f"\n{results.sentence()}", highlight=False)
    missing = results.missing()
    for line in missing[:_MISSING_SHOWN]:
        console.out(f"  {line}", highlight=False)
    if len(missing) > _MISSING_SHOWN:
        console.out(f"  and {len(missing) - _MISSING_SHOWN} more", highlight=False)
