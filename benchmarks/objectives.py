"""What objectives and the gradient diagnostics cost.

    python -m benchmarks.objectives --threads 1

Steps of each objective take turns with those of the plain sum, all with n = 2, at the demo's settings and at the 1M size; the
diagnostics are a share of a demo run that takes them at every evaluation point.
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
from benchmarks.steps import ROWS, shaped
from benchmarks.timing import in_turns, interleaved, medians, paired_ratio, print_table
from lab.config import Experiment
from lab.evaluation.evaluator import Evaluator
from lab.evaluation.points import points_of
from lab.model import build
from lab.reproduce.demo_cases import CASES
from lab.training.module import TrainingModule
from lab.training.step_time import seconds_a_step

CONDITIONS: dict[str, dict[str, Any]] = {
    "sum": {},
    "shuffled": {"objective.name": "shuffled"},
    "bag, window 8": {"objective.name": "bag", "objective.window": 8},
    "order, window 8": {"objective.name": "order", "objective.window": 8},
    "future_bag, window 8": {"objective.name": "future_bag", "objective.window": 8},
    "hinge, window 8": {"objective.name": "hinge", "objective.window": 8},
    "coarse": {"objective.name": "coarse"},
    "detached": {"objective.detached": True},
    "active down": {"objective.active": "down"},
}


def objective_ratios(rounds: int) -> list[list[str]]:
    """Compare a step with one of the plain sum, at two sizes: the ratio of times, the feed included, and that of FLOPs."""
    bases = {"demo": lab.experiment("induction", CASES["induction"]), "1M": lab.override(shaped("1M"), {"batch_size": ROWS})}
    ratios: dict[str, list[str]] = {name: [] for name in CONDITIONS}
    for size in each("size", bases):
        short = {"n_future": 2, "steps": 13, "schedule.warmup_steps": 0}
        experiments = {name: lab.override(bases[size], short | settings) for name, settings in CONDITIONS.items()}
        seconds = in_turns({name: partial(seconds_of, each) for name, each in experiments.items()}, rounds)
        for name, one in experiments.items():
            flops = one.flops_per_step / experiments["sum"].flops_per_step
            ratios[name].append(f"{paired_ratio(seconds, name, 'sum'):.3f} ({flops:.3f})")
    return [[f"step, {name}", *values] for name, values in ratios.items()]


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
    arms: dict[str, Callable[[], object]] = {
        "with": partial(every_measure, network),
        "evaluation": partial(plain, network),
        "step": bare(experiment),
    }
    median = medians(interleaved(arms, rounds))
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
    print_table(
        "Objectives, time (and FLOPs) over those of the plain sum", ["what", "demo", "1M"], objective_ratios(options.rounds)
    )
    rows = [diagnostics_share(n, options.rounds) for n in each("diagnostics of n", (1, 2, 4))]
    print_table("Gradient diagnostics, demo with 6 layers", ["", "once", "in steps", "share of the run"], rows)


if __name__ == "__main__":
    main()
