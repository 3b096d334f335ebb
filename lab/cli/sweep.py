"""`lab sweep`: many experiments, whatever happens meanwhile."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from lab.cli.arguments import Parser
from lab.cli.main import INTERRUPTED
from lab.errors import LabError

if TYPE_CHECKING:
    from rich.console import Console

    from lab.sweeping.results import Results

_MISSING_SHOWN = 10


def run(arguments: list[str]) -> int:
    """Start a sweep or go on with it, and print what it came to."""
    parser = Parser(
        "sweep",
        "Train the experiments of a sweep, or go on with it after any stop: the same command does both.\n"
        "docs/sweeps.md says what stands in the file, and what `lab sweep show FILE` and `lab sweep dashboard FILE` do.",
    )
    parser.add_argument("file", help="the sweep as YAML")
    parser.add_argument("--plan", action="store_true", help="print what it would cost, and stop")
    parser.add_argument("--out", metavar="DIR", help="folder of the runs (runs/<name of the file>)")
    parser.add_argument("--workers", type=int, metavar="K", help="runs at a time (one for each core, or GPU)")
    parser.add_argument("--per-device", type=int, default=1, metavar="K", help="workers that share a GPU (1)")
    parser.add_argument("--storage", metavar="URL", help="postgresql://, mysql:// or grpc:// (a journal in the folder)")
    parser.add_argument("--retry-failed", action="store_true", help="try the failed runs of a grid once more")
    known = parser.parse_args(arguments)
    for name, value in (("--workers", known.workers), ("--per-device", known.per_device)):
        if value is not None and value < 1:
            raise LabError(f"sweep: {name} must be at least 1, not {value}")

    from rich.console import Console

    from lab.sweeping.engine import prepare, run_locally
    from lab.sweeping.local import default_workers

    prepared = prepare(known.file, known.out, known.storage)
    workers = known.workers or default_workers(prepared.threads, prepared.devices, known.per_device)
    if known.plan:
        from lab.sweeping.plan import plan

        print(plan(prepared).text(workers))
        return 0
    console = Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as a cluster's scheduler stops a job
    try:
        results = run_locally(prepared, workers, console, retry_failed=known.retry_failed)
    except KeyboardInterrupt:
        print("lab: stopped; the same command goes on", file=sys.stderr)
        return INTERRUPTED
    results.write()
    report(console, results)
    return 0


def report(console: Console, results: Results) -> None:
    """Print a sweep's cells, and what is missing of it."""
    from lab.cli.table import print_frame

    print_frame(console, results.cells())
    console.out(f"\n{results.sentence()}", highlight=False)
    missing = results.missing()
    for line in missing[:_MISSING_SHOWN]:
        console.out(f"  {line}", highlight=False)
    if len(missing) > _MISSING_SHOWN:
        console.out(f"  and {len(missing) - _MISSING_SHOWN} more", highlight=False)
    console.out(f"tables  {results.job.place.runs_table}, {results.job.place.frame_table}", highlight=False)
