"""Many seeds trained as an ensemble against separate runs: seconds of a step of all of them.

python -m benchmarks.ensemble                                   one core of a laptop: the target is 1
python -m benchmarks.ensemble --accelerator cuda --seeds 16     a GPU: the target is 8
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

import torch

import lab
from benchmarks.progress import each
from benchmarks.timing import Finding, call_in_turns, clock, paired_ratio, print_findings
from lab.config import Experiment
from lab.training.ensemble import EnsembleModule
from lab.training.module import TrainingModule
from lab.training.several import default_ensemble_size, groups
from lab.training.step_time import seconds_a_step

SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "star, d 64, L 5": ("star", {"model.layers": 5, "n_future": 2}),
    "demo, d 64, L 4": ("induction", {"task.length": 32, "task.period": [4, 12], "task.test_period": None, "n_future": 2}),
    "1M, T 64": ("induction", {"model.size": "1M", "task.test_period": None, "n_future": 2}),
}


def run(rounds: int = 3, seeds: int = 8, accelerator: str = "cpu") -> list[Finding]:
    """Seconds of a step of separate runs x of an ensemble."""
    findings = []
    for name in each("shape", SHAPES):
        task, settings = SHAPES[name]
        short = {"steps": 13, "schedule.warmup_steps": 0, "accelerator": accelerator, **settings}
        members = [lab.experiment(task, short, seed=seed) for seed in range(seeds)]
        timed = {"ensemble": partial(ensemble_seconds, members), "separate": partial(separate_seconds, members)}
        ratio = paired_ratio(call_in_turns(timed, rounds), "separate", "ensemble")
        aim = 8.0 if accelerator == "cuda" else 1.0
        findings.append(Finding(f"{seeds} seeds separately x as an ensemble, {name}", ratio, ">=", aim))
    return findings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--accelerator", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print_findings("Ensembles", run(options.rounds, options.seeds, options.accelerator))


def ensemble_seconds(members: list[Experiment]) -> float:
    """Seconds of a step of the ensembles that the device trains."""
    parts = groups(members, default_ensemble_size(members[0]))
    return sum(seconds_a_step(EnsembleModule(part), clock) for part in parts)


def separate_seconds(members: list[Experiment]) -> float:
    """Seconds of a step of each run, separately."""
    return sum(seconds_a_step(TrainingModule(member), clock) for member in members)


if __name__ == "__main__":
    main()
