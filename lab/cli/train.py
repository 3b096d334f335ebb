"""`lab train`: one experiment."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.cli.arguments import ALIASES, Parser, first_word, settings_from
from lab.cli.output import write_data
from lab.errors import Diverged, LabError

if TYPE_CHECKING:
    from lab.config import Experiment
    from lab.runs import Run

_EXAMPLES = f"""\
examples:
  lab train induction --n-future 2 --seed 0 --out runs/first
  lab train induction --size 1M --steps 2000 --lr 1e-3
  lab train --config experiment.yaml --n-future 3

Any setting can be given by its dotted name, as --model.width 128 --task.vocabulary 64 --evaluation.every 50.
Short names: {", ".join(f"--{name.replace('_', '-')}" for name in ALIASES)}.
"""


def run(arguments: list[str]) -> int:
    """Train one experiment and say where its run lies."""
    parser = Parser(
        "train",
        "Train one experiment; writes a run's folder.",
        usage="lab train TASK [options] [--SETTING VALUE ...]",
        epilog=_EXAMPLES + _settings(arguments),
    )
    parser.add_argument("--config", metavar="FILE", help="an experiment as YAML")
    parser.add_argument("--scale", help="laptop: learns on two cores (default); paper: the paper's settings, for a GPU")
    parser.add_argument(
        "-o", "--out", metavar="DIR", help="the run's folder, which must not exist; with --seeds a folder of runs"
    )
    parser.add_argument(
        "--seeds",
        metavar="A:B",
        help="runs with the seeds from A to B - 1, or some, as 0,3,7; of several numbers of heads with --n-future 1,2,4;"
        " goes on if there",
    )
    parser.add_argument("--together", action="store_true", help="train these runs as one program, for a large device")
    parser.add_argument(
        "--at-once", metavar="K", type=int, help="with --together: so many at a time (default: what suits the device)"
    )
    parser.add_argument("--print-config", action="store_true", help="print the whole experiment as YAML and stop")
    task, arguments = first_word(arguments)
    known, left = parser.parse_known_args(arguments)
    settings = settings_from(left)
    if known.together and known.seeds is None:
        raise LabError("train: --together is for several seeds: give --seeds A:B")
    if known.at_once is not None and not known.together:
        raise LabError("train: --at-once is for runs that are trained as one program: give --together")
    if known.seeds is not None and "seed" in settings:
        raise LabError("train takes --seed or --seeds, not both")
    if known.seeds is None and isinstance(settings.get("n_future"), str) and "," in settings["n_future"]:
        raise LabError(f"train: several numbers of heads (--n-future {settings['n_future']}) need --seeds A:B")
    from lab.config import dump
    from lab.config.numbers import numbers_from

    numbers: list[dict[str, Any]] = [{}]
    if known.seeds is not None and isinstance(settings.get("n_future"), str):
        numbers = [{"n_future": n} for n in numbers_from("--n-future", settings["n_future"])]
    experiments = [_experiment(task, known.config, known.scale, settings | number) for number in numbers]

    if known.print_config:
        write_data("---\n".join(dump(experiment) for experiment in experiments))
        return 0

    from rich.console import Console

    from lab.processes import rank
    from lab.runs import Run
    from lab.training import train, train_each, train_ensemble, with_step_time
    from lab.training.progress import progress_for

    experiments = [with_step_time(experiment) for experiment in experiments]
    for experiment in experiments:
        if experiment.budget.steps is not None and rank() == 0:
            print(_spending(experiment))
    console = Console()
    if known.seeds is not None:
        runs = _runs(experiments, numbers_from("--seeds", known.seeds), known.out)
        train_all = partial(train_ensemble, size=known.at_once) if known.together else train_each
        try:
            print_reports(train_all(runs, progress=lambda each: progress_for(each, console)))
        except Diverged as error:
            print_reports([Run(path) for path in runs if path not in error.steps])
            raise
        return 0
    [experiment] = experiments
    done = train(experiment, known.out, progress=progress_for(experiment, console))
    if rank() == 0:
        print(report(done))
    return 0


def _settings(arguments: Sequence[str]) -> str:
    """Every setting with its default, of the task that is named first, where help is wanted."""
    if not {"-h", "--help"} & set(arguments):
        return ""
    from lab.config import experiment
    from lab.config.overview import settings_help

    task, _ = first_word(list(arguments))
    if task is None:
        return f"\nsettings with their defaults (lab train TASK --help: with those of a task):\n{settings_help()}"
    return f"\nsettings with their defaults for {task}:\n{settings_help(experiment(task))}"


def _runs(experiments: Sequence[Experiment], seeds: Sequence[int], out: str | None) -> dict[Path, Experiment]:
    """Each experiment with each seed, by the folder of its run; of several experiments each has another n_future."""
    from lab.config import override
    from lab.training.fit import default_path

    several = len(experiments) > 1
    if several and out is None:
        raise LabError("train: runs of several numbers of prediction heads need --out DIR")
    folder = Path(out) if out is not None else Path(f"{default_path(experiments[0])}-seeds")
    name = "n{}-seed{}" if several else "seed{1}"
    return {
        folder / name.format(experiment.n_future, seed): override(experiment, {"seed": seed})
        for experiment in experiments
        for seed in seeds
    }


def _spending(experiment: Experiment) -> str:
    """One line on a run that may spend what n = 1 spends."""
    kind = {"flops": "FLOPs", "time": "wall time"}[experiment.model.matched]
    step = f", a step taking {experiment.budget.step_time} times as long" if experiment.budget.step_time is not None else ""
    return f"{experiment.steps} steps, the {kind} of {experiment.budget.steps} of n = 1{step}"


def print_reports(runs: Sequence[Run]) -> None:
    """Print one line on each finished run."""
    for each in runs:
        print(report(each))


def report(done: Run) -> str:
    """One line on a finished run: where it lies, what it reached, how long it took."""
    from lab.runs.names import headline

    last = {row.metric: row.value for row in done.metrics()}
    name = headline(done.experiment)
    return f"{done.path}: {name} {last[name]:.3f} after {done.experiment.steps} steps, {done.record['wall_seconds']:.1f} s"


def _experiment(task: str | None, config: str | None, scale: str | None, settings: dict[str, Any]) -> Experiment:
    from lab.config import experiment, load, override

    if config is not None:
        if task is not None:
            raise LabError(f"train takes a task or --config FILE, not both ({task} and {config})")
        if scale is not None:
            raise LabError(f"--scale is for a task, not for --config ({config})")
        return override(load(config), settings)
    if task is None:
        raise LabError("train needs a task, as `lab train induction`, or --config FILE; `lab tasks` lists the tasks")
    return experiment(task, settings, scale=scale or "laptop")
