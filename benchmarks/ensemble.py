"""Time a step of many seeds trained as an ensemble and as separate runs.

python -m benchmarks.ensemble                                   one core of a laptop: the target is 1
python -m benchmarks.ensemble --accelerator cuda --seeds 16     a GPU: the target is 8
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

import lab
from benchmarks.options import make_parser
from benchmarks.progress import each
from benchmarks.timing import Finding, call_in_turns, clock, paired_ratio, print_findings
from lab.config import Experiment
from lab.training.ensemble import EnsembleModule
from lab.training.module import TrainingModule
from lab.training.several import default_ensemble_size, groups
from lab.training.step_time import seconds_per_step

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "star, d 64, L 5": ("star", {"model.layers": 5, "n_future": 2}),
    "demo, d 64, L 4": ("induction", {"task.length": 32, "task.period": [4, 12], "task.test_period": None, "n_future": 2}),
    "1M, T 64": ("induction", {"model.size": "1M", "task.test_period": None, "n_future": 2}),
}
"""Task and settings of each case."""


def run(rounds: int = 3, seeds: int = 8, accelerator: str = "cpu") -> list[Finding]:
    """Return the time of a step of all seeds as separate runs, divided by the time as an ensemble.

    Args:
        rounds: Number of measurements of each.
        seeds: Number of seeds.
        accelerator: `cpu` or `cuda`.
    """
    findings = []
    for name in each("case", CASES):
        task, settings = CASES[name]
        short = {"steps": 13, "schedule.warmup_steps": 0, "accelerator": accelerator, **settings}
        members = [lab.experiment(task, short, seed=seed) for seed in range(seeds)]
        candidates = {"ensemble": partial(time_ensemble, members), "separate": partial(time_separate_runs, members)}
        ratio = paired_ratio(call_in_turns(candidates, rounds), "separate", "ensemble")
        target = 8.0 if accelerator == "cuda" else 1.0
        findings.append(Finding(f"time of a step of {seeds} seeds, separate runs / ensemble, {name}", ratio, ">=", target))
    return findings


def time_ensemble(members: list[Experiment]) -> float:
    """Return the seconds of a step of all members, in ensembles as large as training makes them by default."""
    ensembles = groups(members, default_ensemble_size(members[0]))
    return sum(seconds_per_step(EnsembleModule(ensemble), clock) for ensemble in ensembles)


def time_separate_runs(members: list[Experiment]) -> float:
    """Return the seconds of a step of all members, one run after the other."""
    return sum(seconds_per_step(TrainingModule(member), clock) for member in members)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--accelerator", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print_findings("Ensembles", run(options.rounds, options.seeds, options.accelerator))


if __name__ == "__main__":
    main()
