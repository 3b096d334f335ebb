"""What the objective's arms and the gradient audit cost.

    python -m benchmarks.objectives --threads 1

Steps of each arm take turns with those of the plain sum, all with n = 2, at the demo's settings and at the 1M size; the audit
is its share of a demo run that is audited at every evaluation point.
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
from lab.evaluation.gradient_diagnostics import GradientAudit
from lab.evaluation.points import points_of
from lab.model import build
from lab.reproduce.demo import SETTINGS
from lab.training.module import TrainingModule
from lab.training.step_time import seconds_a_step

ARMS: dict[str, dict[str, Any]] = {
    "sum": {},
    "shuffled": {"objective.name": "shuffled"},
    "bag, window 8": {"objective.name": "bag", "objective.window": 8},
    "order, window 8": {"objective.name": "order", "objective.window": 8},
    "detached": {"objective.detached": True},
    "active down": {"objective.active": "down"},
}


def arm_ratios(rounds: int) -> list[list[str]]:
    """A step's time, the feed included, over that of the plain sum, at two sizes."""
    bases = {"demo": lab.experiment("induction", SETTINGS), "1M": lab.override(shaped("1M"), {"batch_size": ROWS})}
    ratios: dict[str, list[str]] = {name: [] for name in ARMS}
    for size in each("size", bases):
        steps = {}
        for name, settings in ARMS.items():
            short = {"n_future": 2, "steps": 13, "schedule.warmup_steps": 0, **settings}
            steps[name] = partial(seconds_of, lab.override(bases[size], short))
        seconds = in_turns(steps, rounds)
        for name in ARMS:
            ratios[name].append(f"{paired_ratio(seconds, name, 'sum'):.3f}")
    return [[f"step, {name}", *values] for name, values in ratios.items()]


def seconds_of(experiment: Experiment) -> float:
    """Seconds of a step of real training, the feed included."""
    return seconds_a_step(TrainingModule(experiment))


def audit_share(n: int, rounds: int) -> list[str]:
    """Milliseconds of one audit, and the share of all audits in a demo run's training, evaluation and audits."""
    experiment = lab.experiment("induction", {**SETTINGS, "evaluation.gradient_audit": 1, "model.layers": 6}, n_future=n)
    network, audit, evaluator = build(experiment), GradientAudit(experiment), Evaluator(experiment)
    arms: dict[str, Callable[[], object]] = {
        "audit": partial(audit, network, 0),
        "evaluation": partial(evaluator, network),
        "step": bare(experiment),
    }
    median = medians(interleaved(arms, rounds))
    points = len(points_of(experiment))
    audits = points * median["audit"]
    whole = audits + points * median["evaluation"] + experiment.steps * median["step"]
    return [f"n = {n}", f"{median['audit'] * 1e3:.1f} ms", f"{median['audit'] / median['step']:.1f}", f"{audits / whole:.3f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print_table("Arms of the objective, time over the plain sum's", ["what", "demo", "1M"], arm_ratios(options.rounds))
    rows = [audit_share(n, options.rounds) for n in each("audit of n", (1, 2, 4))]
    print_table("Gradient audit, demo with 6 layers", ["", "one audit", "in steps", "share of the run"], rows)


if __name__ == "__main__":
    main()
