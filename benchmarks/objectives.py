"""Compare the step time of every objective with its FLOPs, and measure the cost of the gradient diagnostics.

    python -m benchmarks.objectives                  both sizes: about 15 minutes with 3 rounds
    python -m benchmarks.objectives --sizes demo     the smaller one: a minute

Steps of each objective are interleaved with those of the plain sum, all with n = 2, at the demo's settings and at the 1M size.
The excess is the ratio of times divided by the ratio of FLOPs; it is 1 if time is proportional to FLOPs. The cost of the
diagnostics is their share of a demo run that computes them at every evaluation point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

import lab
from benchmarks.options import make_parser
from benchmarks.overhead import make_bare_step
from benchmarks.progress import each
from benchmarks.steps import SEQUENCES, make_experiment
from benchmarks.timing import call_in_turns, interleaved, medians, paired_ratio, print_table
from lab.config import Experiment
from lab.config.kinds import KINDS
from lab.config.objective_table import OBJECTIVES
from lab.evaluation.evaluator import Evaluator
from lab.evaluation.points import points_of
from lab.model import build
from lab.reproduce.demo_cases import CASES
from lab.training.module import TrainingModule
from lab.training.step_time import seconds_per_step

CONDITIONS: dict[str, dict[str, Any]] = {
    **{name: {"objective.name": name, "objective.window": 4} for name in OBJECTIVES},
    "detached": {"objective.detached": True},
    "active down": {"objective.active": "down"},
    "active fade": {"objective.active": "fade"},
    **{f"{heads} heads": {"model.heads": heads} for heads in KINDS if heads != "parallel"},
}
"""Settings of each condition; `sum` is first, and the others are compared with it."""
SIZES = ("demo", "1M")


def compare_objectives(rounds: int, sizes: Sequence[str]) -> list[list[str]]:
    """Time steps of every condition, with the data feed, and compare them with the plain sum.

    Returns:
        A row for each condition: its name, and for each size the ratio of times, the ratio of FLOPs and the excess.
    """
    demo = {**CASES["induction"], "model.layers": 5}  # enough for every kind of heads
    bases = {"demo": lab.experiment("induction", demo), "1M": lab.override(make_experiment("1M"), {"batch_size": SEQUENCES})}
    ratios: dict[str, list[str]] = {name: [] for name in CONDITIONS}
    for size in each("size", sizes):
        steps, flops = {}, {}
        for name, settings in CONDITIONS.items():
            short = {"n_future": 2, "steps": 13, "schedule.warmup_steps": 0, **settings}
            experiment = lab.override(bases[size], short)
            steps[name], flops[name] = partial(time_step, experiment), experiment.flops_per_step
        seconds = call_in_turns(steps, rounds)
        for name in CONDITIONS:
            time_ratio, flops_ratio = paired_ratio(seconds, name, "sum"), flops[name] / flops["sum"]
            ratios[name] += [f"{time_ratio:.2f}", f"{flops_ratio:.2f}", f"{time_ratio / flops_ratio:.2f}"]
    return [[name, *values] for name, values in ratios.items()]


def time_step(experiment: Experiment) -> float:
    """Return the seconds of a step of real training, with the data feed."""
    return seconds_per_step(TrainingModule(experiment))


def time_diagnostics(n: int, rounds: int) -> list[str]:
    """Time the gradient diagnostics of n prediction heads.

    Returns:
        A row: n, the time of one measurement in milliseconds and in training steps, and its share of a demo run that measures
        at every evaluation point.
    """
    experiment = lab.experiment(
        "induction", {**CASES["induction"], "evaluation.measures.gradients": 1, "model.layers": 6}, n_future=n
    )
    network = build(experiment)
    with_diagnostics = Evaluator(experiment)
    without = Evaluator(lab.override(experiment, {"evaluation.measures.gradients": 0}))
    candidates: dict[str, Callable[[], object]] = {
        "with diagnostics": partial(with_diagnostics, network),
        "without": partial(without, network),
        "step": make_bare_step(experiment),
    }
    median = medians(interleaved(candidates, rounds))
    points = len(points_of(experiment))
    once = median["with diagnostics"] - median["without"]
    run_seconds = points * median["with diagnostics"] + experiment.steps * median["step"]
    return [f"n = {n}", f"{once * 1e3:.1f} ms", f"{once / median['step']:.1f}", f"{points * once / run_seconds:.3f}"]


def main() -> None:
    parser = make_parser(__doc__, rounds=15)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=SIZES, help="sizes at which objectives are compared")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    columns = [f"{size}: {what}" for size in options.sizes for what in ("time", "FLOPs", "excess")]
    print_table("A step / a step of the plain sum", ["condition", *columns], compare_objectives(options.rounds, options.sizes))
    rows = [time_diagnostics(n, options.rounds) for n in each("diagnostics of n", (1, 2, 4))]
    print_table("Gradient diagnostics, demo with 6 layers", ["", "one measurement", "in steps", "share of a run"], rows)


if __name__ == "__main__":
    main()
