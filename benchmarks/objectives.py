"""What every objective costs against its FLOPs, and what the gradient diagnostics cost.

    python -m benchmarks.objectives --threads 1

Steps of each objective take turns with those of the plain sum, all with n = 2, at the demo's settings and at the 1M size. The
excess is the ratio of times over the ratio of FLOPs: 1 if a step costs what its FLOPs say. The diagnostics are a share of a
demo run that takes them at every evaluation point.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

import lab
from benchmarks.overhead import bare
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
from lab.training.step_time import seconds_a_step

CONDITIONS: dict[str, dict[str, Any]] = {
    **{name: {"objective.name": name, "objective.window": 4} for name in OBJECTIVES},
    "detached": {"objective.detached": True},
    "active down": {"objective.active": "down"},
    "active fade": {"objective.active": "fade"},
    **{f"{heads} heads": {"model.heads": heads} for heads in KINDS if heads != "parallel"},
}
"""Settings of each condition; `sum` comes first, and all are compared with it."""


def objective_ratios(rounds: int) -> list[list[str]]:
    """Time steps, the feed included: ratio to the plain sum's time, to its FLOPs, and the excess, at two sizes."""
    demo = {**CASES["induction"], "model.layers": 5}  # room for every kind of heads
    bases = {"demo": lab.experiment("induction", demo), "1M": lab.override(make_experiment("1M"), {"batch_size": SEQUENCES})}
    ratios: dict[str, list[str]] = {name: [] for name in CONDITIONS}
    for size in each("size", bases):
        steps, flops = {}, {}
        for name, settings in CONDITIONS.items():
            short = {"n_future": 2, "steps": 13, "schedule.warmup_steps": 0, **settings}
            experiment = lab.override(bases[size], short)
            steps[name], flops[name] = partial(seconds_of, experiment), experiment.flops_per_step
        seconds = call_in_turns(steps, rounds)
        for name in CONDITIONS:
            time, cost = paired_ratio(seconds, name, "sum"), flops[name] / flops["sum"]
            ratios[name] += [f"{time:.2f}", f"{cost:.2f}", f"{time / cost:.2f}"]
    return [[name, *values] for name, values in ratios.items()]


def seconds_of(experiment: Experiment) -> float:
    """Seconds of a step of real training, the feed included."""
    return seconds_a_step(TrainingModule(experiment))


def diagnostics_share(n: int, rounds: int) -> list[str]:
    """Time the gradient diagnostics once, and their share of a demo run that takes them at every evaluation point."""
    experiment = lab.experiment(
        "induction", {**CASES["induction"], "evaluation.measures.gradients": 1, "model.layers": 6}, n_future=n
    )
    network = build(experiment)
    every_measure, plain = Evaluator(experiment), Evaluator(lab.override(experiment, {"evaluation.measures.gradients": 0}))
    conditions: dict[str, Callable[[], object]] = {
        "with": partial(every_measure, network),
        "evaluation": partial(plain, network),
        "step": bare(experiment),
    }
    median = medians(interleaved(conditions, rounds))
    points = len(points_of(experiment))
    once = median["with"] - median["evaluation"]
    whole = points * median["with"] + experiment.steps * median["step"]
    return [f"n = {n}", f"{once * 1e3:.1f} ms", f"{once / median['step']:.1f}", f"{points * once / whole:.3f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    columns = [f"{size}: {what}" for size in ("demo", "1M") for what in ("time", "FLOPs", "excess")]
    print_table("A step against one of the plain sum", ["condition", *columns], objective_ratios(options.rounds))
    rows = [diagnostics_share(n, options.rounds) for n in each("diagnostics of n", (1, 2, 4))]
    print_table("Gradient diagnostics, demo with 6 layers", ["", "once", "in steps", "share of the run"], rows)


if __name__ == "__main__":
    main()
