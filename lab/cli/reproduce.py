"""Train the runs of a whole study and write its figures, tables and page."""

from __future__ import annotations

from argparse import Namespace
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
    from lab.sweeping.prepare import Prepared
    from lab.sweeping.spec.plan import Plan

_SETTINGS = """\
examples:
  lab reproduce agreement --plan         how many runs and about how long
  lab reproduce agreement --workers 2    train or resume, and write results/agreement
  lab reproduce atlas --join results/atlas/recall results/atlas/star
                                         the page of parts that were trained with --scale, on other machines too

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
    parser.add_argument("--scale", help="laptop, or another one of the study (laptop)")
    parser.add_argument("-o", "--out", metavar="DIR", help="folder for figure, numbers and page (results/NAME)")
    parser.add_argument("--runs", metavar="DIR", help="folder of its sweeps (runs)")
    parser.add_argument("--workers", type=int, help="processes at a time (all cores)")
    parser.add_argument("--join", nargs="+", metavar="DIR", help="write the page from the reports of parts in these folders")
    parser.add_argument("--plan", action="store_true", help="print the planned runs and their cost, and stop")
    parser.add_force()
    args, rest = parser.parse_known_args(arguments)
    settings = parse_settings(rest)
    if args.name not in STUDIES:
        raise LabError(f"unknown study {args.name!r}; {nearest(args.name, STUDIES)}")
    if args.workers is not None and args.workers < 1:
        raise LabError(f"reproduce: --workers must be at least 1, not {args.workers}")
    study: Study = load_object(STUDIES[args.name].path, "study")
    out = Path(args.out or f"results/{args.name}")
    if args.join:
        paths = _join(args.name, study, args, settings, out)
    else:
        args.scale = args.scale or "laptop"
        if args.scale not in study.scales:
            raise LabError(f"{args.name} has no scale {args.scale!r}; it has: {', '.join(study.scales)}")
        if args.plan:
            return _print_plans(study, args, settings)
        check_folder(out, study.page, force=args.force)
        paths = study.report(args.scale, _train(study, args, settings, out), out)
    for path in paths:
        print(path)
    return 0


def _join(name: str, study: Study, args: Namespace, settings: Mapping[str, Any], out: Path) -> list[Path]:
    """Write the report of a study from those of its parts, and return its paths."""
    parts = [Path(part) for part in args.join]
    if study.join is None:
        raise LabError(f"reproduce: --join cannot be given: {name} has no parts")
    others = {"--plan": args.plan, "--scale": args.scale, "--workers": args.workers, "--runs": args.runs}
    given = [name for name, value in others.items() if value] + [f"--{name}" for name in settings]
    if given:
        raise LabError(f"reproduce: {given[0]} cannot be given with --join, which trains nothing")
    if out.resolve() in [part.resolve() for part in parts]:
        raise LabError(f"reproduce: --out must be another folder than those of --join, not {out}")
    check_folder(out, study.page, force=args.force)
    return study.join(parts, out)


def _prepare(planned: Sweep, args: Namespace, settings: Mapping[str, Any]) -> Prepared:
    """Return a study's sweep with other settings, ready to run."""
    from lab.sweeping.prepare import prepare

    sweep = _override(planned, settings)
    return prepare(sweep, Path(args.runs or "runs") / sweep.name)


def _print_plans(study: Study, args: Namespace, settings: Mapping[str, Any]) -> int:
    """Print the planned runs of each sweep and their cost."""
    from lab.sweeping.workers.settings import Workers

    workers = Workers(args.workers)
    plans: list[Plan] = []
    for number, stage in enumerate(study.stages(args.scale)):
        prepared = _prepare(stage.largest, args, settings)
        plans.append(prepared.plan())
        count = workers.count_here(prepared.demand)
        print(f"{prepared.job.sweep.name}{', at most' if number else ''}: {plans[-1].text(count)}", flush=True)
    if len(plans) > 1:
        print(f"all sweeps: {_total(plans, count)}")
    return 0


def _train(study: Study, args: Namespace, settings: Mapping[str, Any], out: Path) -> list[list[Run]]:
    """Train or resume the runs of each stage."""
    from rich.console import Console

    from lab.sweeping.run import run as run_sweep
    from lab.sweeping.workers.settings import Workers

    finished: list[list[Run]] = []
    for stage in study.stages(args.scale):
        prepared = _prepare(stage.plan(finished[-1] if finished else ()), args, settings)
        out.mkdir(parents=True, exist_ok=True)  # an impossible folder is an error now, not after the training
        with resumable("stopped; run the same command again to continue"):
            result = run_sweep(prepared, Workers(args.workers), Console(highlight=False), evaluations=True)
            finished.append(result.complete(diverged=stage.tunes))
    return finished


def _total(plans: Sequence[Plan], workers: int) -> str:
    """Return the size and cost of several sweeps in words; without a time if it is unknown for one of them."""
    from lab.runs.status import duration

    runs, flops = sum(plan.runs or 0 for plan in plans), sum(plan.flops or 0 for plan in plans)
    known = [plan.seconds for plan in plans if plan.seconds is not None]
    at_most = max(plan.at_most for plan in plans)
    shared = f"{at_most}about {duration(sum(known) / workers)} with {workers} worker{'s' if workers > 1 else ''}, "
    return f"{runs} runs, {shared if len(known) == len(plans) else ''}{at_most}{flops:.2g} training FLOPs"


def _override(sweep: Sweep, settings: Mapping[str, Any]) -> Sweep:
    """Return a sweep with other settings that all its runs share."""
    from lab.config.files import flat
    from lab.sweeping.spec.configurations import varied_names

    for name in varied_names(sweep) & settings.keys():
        raise LabError(f"reproduce: --{name} cannot be given: it is what {sweep.name} varies")
    return sweep.model_copy(update={"base": {**flat(sweep.base), **settings}})
