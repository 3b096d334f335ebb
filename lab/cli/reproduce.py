"""Train the runs of a whole study and write its figures, tables and page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.cli.arguments import Parser, parse_settings
from lab.errors import LabError
from lab.processes import resumable
from lab.registry import load_object
from lab.reproduce import STUDIES, Study
from lab.runs.outputs import check_folder
from tasks.errors import nearest

if TYPE_CHECKING:
    from lab.runs import Run
    from lab.sweeping import Sweep
    from lab.sweeping.spec.plan import Plan

_SETTINGS = """\
examples:
  lab reproduce agreement --plan         how many runs and about how long
  lab reproduce agreement --workers 2    train or resume, and write results/agreement

A setting that the study does not vary can be given by its dotted name, as --task.corpus stories.txt or --compile none. The
result is another study: give it separate folders (--runs, --out)."""


def run(arguments: list[str]) -> int:
    """Train the runs of a study, or resume them, and write its figures, their numbers and a page."""
    width = max(map(len, STUDIES))
    listed = "\n".join(f"  {name:{width}}  {entry.question}" for name, entry in STUDIES.items())
    parser = Parser(
        "reproduce",
        "Train the runs of a study and write its figures, their numbers and a page; the same command resumes after any stop.",
        usage="lab reproduce NAME [options] [--SETTING VALUE ...]",
        epilog=f"studies:\n{listed}\n\n{_SETTINGS}",
    )
    parser.add_argument("name", help="one of those below")
    parser.add_argument("--scale", default="laptop", help="laptop, or paper where there is one (laptop)")
    parser.add_argument("-o", "--out", metavar="DIR", help="folder for figure, numbers and page (results/NAME)")
    parser.add_argument("--runs", metavar="DIR", help="folder of its sweeps (runs)")
    parser.add_argument("--workers", type=int, help="processes at a time (all cores)")
    parser.add_argument("--plan", action="store_true", help="print the planned runs and their cost, and stop")
    parser.add_force()
    args, rest = parser.parse_known_args(arguments)
    settings = parse_settings(rest)
    if args.name not in STUDIES:
        raise LabError(f"unknown reproduction {args.name!r}; {nearest(args.name, STUDIES)}")
    if args.workers is not None and args.workers < 1:
        raise LabError(f"reproduce: --workers must be at least 1, not {args.workers}")
    study: Study = load_object(STUDIES[args.name].path, "study")
    if args.scale not in study.scales:
        raise LabError(f"{args.name} has no scale {args.scale!r}; it has: {', '.join(study.scales)}")

    out = Path(args.out or f"results/{args.name}")
    if not args.plan:
        check_folder(out, study.page, force=args.force)

    from rich.console import Console

    from lab.sweeping.prepare import prepare
    from lab.sweeping.run import run as run_sweep
    from lab.sweeping.workers.settings import Workers

    finished: list[list[Run]] = []
    plans: list[Plan] = []
    for number, stage in enumerate(study.stages(args.scale)):
        planned = stage.largest if args.plan else stage.plan(finished[-1] if finished else ())
        sweep = _override(planned, settings)
        prepared = prepare(sweep, Path(args.runs or "runs") / sweep.name)
        workers = Workers(args.workers)
        if args.plan:
            plans.append(prepared.plan())
            count = workers.count_here(prepared.demand)
            print(f"{sweep.name}{', at most' if number else ''}: {plans[-1].text(count)}", flush=True)
            continue
        out.mkdir(parents=True, exist_ok=True)  # an impossible folder is an error now, not after the training
        with resumable("stopped; run the same command again to continue"):
            finished.append(run_sweep(prepared, workers, Console(highlight=False), evaluations=True).complete())
    if args.plan:
        if len(plans) > 1:
            print(f"all sweeps: {_total(plans, count)}")
        return 0
    for path in study.report(args.scale, finished, out):
        print(path)
    return 0


def _total(plans: Sequence[Plan], workers: int) -> str:
    """Return the size and cost of several sweeps in words; without a time if it is unknown for one of them."""
    from lab.runs.status import duration

    runs, flops = sum(plan.runs or 0 for plan in plans), sum(plan.flops or 0 for plan in plans)
    known = [plan.seconds for plan in plans if plan.seconds is not None]
    shared = f"about {duration(sum(known) / workers)} with {workers} worker{'s' if workers > 1 else ''}, "
    return f"{runs} runs, {shared if len(known) == len(plans) else ''}{flops:.2g} training FLOPs"


def _override(sweep: Sweep, settings: Mapping[str, Any]) -> Sweep:
    """Return a sweep with other settings that all its runs share."""
    from lab.config.files import flat
    from lab.sweeping.spec.configurations import varied_names

    for name in varied_names(sweep) & settings.keys():
        raise LabError(f"reproduce: --{name} cannot be given: it is what {sweep.name} varies")
    return sweep.model_copy(update={"base": {**flat(sweep.base), **settings}})
