"""`lab reproduce`: a figure of a paper from nothing, with its numbers."""

from __future__ import annotations

import importlib
from pathlib import Path

from lab.cli.arguments import Parser
from lab.errors import LabError
from lab.reproduce import REPRODUCTIONS
from tasks.errors import nearest


def run(arguments: list[str]) -> int:
    """Train what a figure needs, or go on with it, and write the figure, its numbers and a page."""
    listed = "\n".join(f"  {name}" for name in REPRODUCTIONS)
    parser = Parser(
        "reproduce", "A figure of a paper from nothing; goes on with what lies in --out.", epilog=f"there are:\n{listed}"
    )
    parser.add_argument("name", help="one of those below")
    parser.add_argument("--scale", default="laptop", help="laptop, or paper where there is one (laptop)")
    parser.add_argument("--out", metavar="DIR", help="folder for figure, numbers and page (results/NAME)")
    parser.add_argument("--runs", metavar="DIR", help="folder of the runs (runs/NAME-SCALE)")
    parser.add_argument("--workers", type=int, help="processes at a time (all cores)")
    parser.add_argument("--plan", action="store_true", help="say what would be run, and stop")
    known = parser.parse_args(arguments)
    if known.name not in REPRODUCTIONS:
        raise LabError(f"unknown reproduction {known.name!r}; {nearest(known.name, REPRODUCTIONS)}")
    if known.workers is not None and known.workers < 1:
        raise LabError(f"reproduce: --workers must be at least 1, not {known.workers}")
    study = importlib.import_module(REPRODUCTIONS[known.name])
    if known.scale not in study.SCALES:
        raise LabError(f"{known.name} has no scale {known.scale!r}; it has: {', '.join(study.SCALES)}")

    from rich.console import Console

    from lab.sweeping.engine import prepare, run_locally
    from lab.sweeping.local import default_workers
    from lab.sweeping.plan import plan

    prepared = prepare(study.sweep(known.scale), known.runs)
    workers = known.workers or default_workers(prepared.threads, prepared.devices, per_device=1)
    if known.plan:
        print(plan(prepared).text(workers))
        return 0
    runs = run_locally(prepared, workers, Console(), evaluations=True).complete()
    out = Path(known.out or f"results/{known.name}")
    out.mkdir(parents=True, exist_ok=True)
    for path in study.report(runs, out):
        print(path)
    return 0
