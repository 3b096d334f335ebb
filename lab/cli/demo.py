"""Train, compare and plot next-token and multi-token models in a few minutes."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

from lab.cli.arguments import Parser, parse_settings
from lab.errors import LabError
from lab.processes import resumable
from lab.reproduce.demo_cases import CASES
from tasks.errors import nearest

_EXAMPLES = """\
examples:
  lab demo
  lab demo --seeds 10 --n 1 2 3 --layers 5 --out demo3     more seeds and heads, in a folder of their own
  lab demo --tasks induction --steps 600 --lr 3e-3 --out demo-slow"""


def run(arguments: list[str]) -> int:
    """Train n = 1 and n = 2 over paired seeds in parallel; print tables, findings and the paths of figures and page."""
    parser = Parser(
        "demo",
        "Train next-token and multi-token models on two tasks, several seeds each, and compare when they learn them.\n"
        "Any setting of the experiments can be changed by its dotted or short name.",
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "-o", "--out", default="demo", metavar="DIR", help="folder for runs and figures (demo); resumes what is there"
    )
    parser.add_argument("--tasks", nargs="+", default=list(CASES), metavar="TASK", help=f"tasks ({' '.join(CASES)})")
    parser.add_argument("--n", type=int, nargs="+", default=[1, 2], help="numbers of prediction heads (1 2)")
    parser.add_argument("--seeds", type=int, default=6, help="paired seeds (6)")
    parser.add_argument("--workers", type=int, help="processes at a time (all cores)")
    parser.add_force()
    args, rest = parser.parse_known_args(arguments)
    for name, value in (("--seeds", args.seeds), ("--workers", args.workers)):
        if value is not None and value < 1:
            raise LabError(f"demo: {name} must be at least 1, not {value}")
    for task in args.tasks:
        if task not in CASES:
            raise LabError(f"demo: unknown task {task!r}; {nearest(task, CASES)}")
    began = time.monotonic()

    from rich.console import Console

    from lab.reports.emergence import PAGE
    from lab.reproduce.demo import plan_sweep, train_all
    from lab.runs.outputs import check_folder

    console = Console(highlight=False)
    out = Path(args.out)
    settings = parse_settings(rest)
    if "n_future" in settings:
        raise LabError("demo: --n-future cannot be given: --n says which numbers of prediction heads are compared")
    numbers = tuple(dict.fromkeys(args.n))
    sweeps = {task: plan_sweep(task, numbers, args.seeds, settings) for task in args.tasks}
    check_folder(out, PAGE, force=args.force)
    with resumable(f"stopped; run the same command again to continue with what lies in {out}"):
        runs = {task: train_all(sweep, out, args.workers, console) for task, sweep in sweeps.items()}

    from lab.cli.table import print_frame
    from lab.reports.emergence import across
    from lab.reproduce.demo import report

    found = report(runs, out, f"lab {shlex.join(['demo', *arguments])}")
    for task, each in found.items():
        console.print(f"\n[bold]{task}[/bold]\n", highlight=False)
        print_frame(console, across(each.table))
        console.print(f"\n{each.sentence}", highlight=False)
    console.out("", *(f"figure  {each.figure}" for each in found.values()), sep="\n", highlight=False)
    console.out(f"page    {out / PAGE}\nwall    {time.monotonic() - began:.0f} s", highlight=False)
    return 0
