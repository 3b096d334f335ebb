"""Train one experiment."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import config
from lab.cli.arguments import Parser, parse_settings, split_first
from lab.cli.output import write_data
from lab.cli.settings import add_settings
from lab.config import Experiment
from lab.config.files import WARMUP, defaults, warmup_of
from lab.config.numbers import numbers_from
from lab.errors import Diverged, LabError

if TYPE_CHECKING:
    from lab.runs import Run

_EXAMPLES = """\
examples:
  lab train induction --n-future 2 --seed 0 --out runs/first
  lab train induction --size 1M --steps 2000 --lr 1e-3
  lab train --config experiment.yaml --n-future 3

Values are YAML; --print-config prints all settings as a file for --config. `lab train TASK --help`
has the settings of a task."""


def run(arguments: list[str]) -> int:
    """Train one experiment, or several seeds of it, and print where the runs are."""
    task, words = split_first(arguments)
    args, rest = _parser(arguments).parse_known_args(words)
    settings = parse_settings(rest)
    _check(args, settings)
    experiments = _experiments(task, args, settings)
    if args.print_config:
        write_data("---\n".join(config.dump(experiment) for experiment in experiments))
        return 0

    from rich.console import Console

    from lab.processes import rank
    from lab.training import train, with_step_time
    from lab.training.progress import progress_for

    experiments = [with_step_time(experiment) for experiment in experiments]
    for experiment in experiments:
        if experiment.budget.steps is not None and rank() == 0:
            print(_describe_budget(experiment))
        if WARMUP not in settings and _has_short_warmup(experiment, task, args.scale) and rank() == 0:
            print(f"warm-up of {experiment.schedule.warmup_steps} steps, a tenth of all (schedule.warmup_steps)")
    if args.seeds is not None:
        _train_seeds(experiments, args)
        return 0
    [experiment] = experiments
    done = train(experiment, args.out, progress=progress_for(experiment, Console(highlight=False)), loggers=_loggers(args))
    if rank() == 0:
        print(describe_end(done))
    return 0


def _parser(arguments: list[str]) -> Parser:
    parser = Parser(
        "train",
        "Train one experiment and write the folder of its run.",
        usage="lab train TASK [options] [--SETTING VALUE ...]",
        epilog=_EXAMPLES,
    )
    parser.add_argument("--config", metavar="FILE", help="an experiment as YAML")
    parser.add_argument("--scale", help="laptop: learns on two cores (default); paper: the paper's settings, for a GPU")
    parser.add_argument("-o", "--out", metavar="DIR", help="new folder of the run; with --seeds, folder of the runs")
    parser.add_argument(
        "--seeds",
        metavar="A:B",
        help="train the seeds A to B - 1, or a list as 0,3,7, also of several numbers of heads (--n-future 1,2,4);"
        " runs that exist are resumed",
    )
    parser.add_argument("--ensemble", action="store_true", help="train these runs as one program, for a large device")
    parser.add_argument(
        "--ensemble-size", metavar="K", type=int, help="runs of one ensemble (all on a GPU; on a CPU those that fit its cache)"
    )
    parser.add_argument(
        "--log",
        metavar="LOGGERS",
        help="where else to log the metrics: tensorboard, wandb, mlflow, or several with commas",
    )
    parser.add_argument("--print-config", action="store_true", help="print the whole experiment as YAML and stop")
    if {"-h", "--help"} & set(arguments) or Parser.intercept:
        add_settings(parser, split_first(arguments)[0])
    return parser


def _check(args: Namespace, settings: dict[str, Any]) -> None:
    """Raise if options do not fit together."""
    if args.ensemble and args.seeds is None:
        raise LabError("train: --ensemble is for several seeds: give --seeds A:B")
    if args.ensemble_size is not None and not args.ensemble:
        raise LabError("train: --ensemble-size is for runs that are trained as one program: give --ensemble")
    if args.seeds is not None and "seed" in settings:
        raise LabError("train takes --seed or --seeds, not both")
    if args.seeds is None and isinstance(settings.get("n_future"), str) and "," in settings["n_future"]:
        raise LabError(f"train: several numbers of heads (--n-future {settings['n_future']}) need --seeds A:B")


def _loggers(args: Namespace) -> list[str]:
    return [] if args.log is None else args.log.split(",")


def _experiments(task: str | None, args: Namespace, settings: dict[str, Any]) -> list[Experiment]:
    """Return the experiments: one, or one for each number of prediction heads."""
    numbers: list[dict[str, Any]] = [{}]
    if args.seeds is not None and isinstance(settings.get("n_future"), str):
        numbers = [{"n_future": n} for n in numbers_from("--n-future", settings["n_future"])]
    return [_experiment(task, args, settings | number) for number in numbers]


def _experiment(task: str | None, args: Namespace, settings: dict[str, Any]) -> Experiment:
    if args.config is not None:
        if task is not None:
            raise LabError(f"train takes a task or --config FILE, not both ({task} and {args.config})")
        if args.scale is not None:
            raise LabError(f"--scale is for a task, not for --config ({args.config})")
        return config.override(config.load(args.config), settings)
    if task is None:
        raise LabError("train needs a task, as `lab train induction`, or --config FILE; `lab tasks` lists the tasks")
    return config.experiment(task, settings, scale=args.scale or "laptop")


def _train_seeds(experiments: Sequence[Experiment], args: Namespace) -> None:
    """Train each experiment with each seed, and print a line on each run that finished, even if others diverged."""
    from rich.console import Console

    from lab.runs import Run
    from lab.training import train_each, train_ensemble
    from lab.training.progress import progress_for

    console = Console(highlight=False)
    runs = _runs(experiments, numbers_from("--seeds", args.seeds), args.out)
    train_all = partial(train_ensemble, size=args.ensemble_size) if args.ensemble else train_each
    try:
        finished = train_all(runs, progress=lambda each: progress_for(each, console), loggers=_loggers(args))
    except Diverged as error:
        _print_ends([Run(path) for path in runs if path not in error.steps])
        raise
    _print_ends(finished)


def _runs(experiments: Sequence[Experiment], seeds: Sequence[int], out: str | None) -> dict[Path, Experiment]:
    """Return each experiment with each seed by the folder of its run. Several experiments differ in n_future."""
    from lab.runs.layout import default_path

    several = len(experiments) > 1
    if several and out is None:
        raise LabError("train: runs of several numbers of prediction heads need --out DIR")
    folder = Path(out) if out is not None else Path(f"{default_path(experiments[0])}-seeds")
    name = "n{}-seed{}" if several else "seed{1}"
    return {
        folder / name.format(experiment.n_future, seed): config.override(experiment, {"seed": seed})
        for experiment in experiments
        for seed in seeds
    }


def _has_short_warmup(experiment: Experiment, task: str | None, scale: str | None) -> bool:
    """Return whether the usual warm-up of a task does not fit the steps, so that the default is a tenth of them."""
    usual = warmup_of({} if task is None else defaults(task, scale or "laptop"))
    return experiment.steps <= usual and experiment.schedule.warmup_steps == experiment.steps // 10


def _describe_budget(experiment: Experiment) -> str:
    """Describe in one line a run with the budget of a run with n = 1."""
    kind = {"flops": "FLOPs", "time": "wall time"}[experiment.model.matched]
    step = f", a step taking {experiment.budget.step_time} times as long" if experiment.budget.step_time is not None else ""
    return f"{experiment.steps} steps, the {kind} of {experiment.budget.steps} of n = 1{step}"


def _print_ends(runs: Sequence[Run]) -> None:
    for each in runs:
        print(describe_end(each))


def describe_end(run: Run) -> str:
    """Describe a finished run in one line: its folder, its metric and its time."""
    from lab.runs.names import headline

    last = {row.metric: row.value for row in run.metrics()}
    name = headline(run.experiment)
    steps, reached = run.record.get("last_step", run.experiment.steps), run.record.get("reached")
    why = f" (ended early: {reached})" if reached else ""
    return f"{run.path}: {name} {last[name]:.3f} after {steps} steps{why}, {run.record['wall_seconds']:.1f} s"
