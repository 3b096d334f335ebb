"""The tasks of the demo; nothing heavy is imported here, so that `lab demo --help` answers at once."""

from __future__ import annotations

from typing import Any

SEEDS = 6
CASES: dict[str, dict[str, Any]] = {
    "agreement": {
        "task.pairs": 3,
        "task.keys": 6,
        "task.verbs": 8,
        "task.cases": 8,
        "steps": 200,
        "batch_size": 128,
        "optimiser.peak_lr": 5e-3,
        "schedule.warmup_steps": 30,
        "evaluation.every": 20,
        "evaluation.examples": 256,
    },
    "induction": {
        "task.length": 32,
        "task.period": [4, 12],
        "task.test_period": [14, 16],
        "steps": 500,
        "optimiser.peak_lr": 6e-3,
        "schedule.warmup_steps": 30,
        "evaluation.every": 20,
        "evaluation.examples": 64,
    },
}
"""Tasks and their settings: short sequences, in which learning takes seconds; docs/experiments.md says how they were chosen."""
