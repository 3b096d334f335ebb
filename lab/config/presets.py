"""Settings of each task's default experiment, at the scales `laptop` and `paper`, where they differ from the general defaults.

A task's own settings are those of its class, so that `tasks.get`, `lab tasks` and `lab train` have the same defaults.
Steps, rates and sizes of `PRESETS` were measured, so that a task is learned on two cores (`satisfiability` and `countdown` in
part); docs/tasks.md has the numbers. Those of `PAPER` are the paper's (Gloeckle et al. 2024, tables S13 and S14, sections 4.1
and 4.2) and take a GPU. Tasks with one answer a sequence are evaluated on as many sequences, up to 1024, as cost less than
about 7 % of a run's time.
"""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "stories": {"steps": 1200, "batch_size": 16, "evaluation.every": 50, "evaluation.examples": 128},
    "spelled": {"task.task.name": "induction", "steps": 800, "batch_size": 16, "evaluation.examples": 128},
    "bigram": {"steps": 500, "evaluation.examples": 128},
    "markov": {"steps": 600, "evaluation.every": 25, "evaluation.measures.induction": 0},
    "belief": {"steps": 600, "evaluation.every": 25, "evaluation.measures.induction": 0},
    "choice": {"steps": 400, "evaluation.examples": 128, "evaluation.measures.induction": 0},
    "recall": {
        "batch_size": 128,
        "steps": 1000,
        "evaluation.examples": 512,
    },
    "agreement": {
        "batch_size": 128,
        "steps": 2000,
        "evaluation.every": 50,
        "evaluation.examples": 1024,
        "evaluation.measures.induction": 0,
    },
    "discovery": {
        "batch_size": 256,
        "steps": 500,
        "evaluation.every": 20,
        "evaluation.measures.induction": 0,
    },
    "star": {
        "model.layers": 5,
        "optimiser.peak_lr": 2e-3,
        "steps": 4000,
        "evaluation.every": 250,
        "evaluation.examples": 1024,
        "evaluation.measures.induction": 0,
    },
    "modular": {
        "model.width": 128,
        "model.layers": 3,
        "optimiser.weight_decay": 1.0,
        "batch_size": 512,
        "steps": 1200,
        "evaluation.every": 50,
        "evaluation.examples": 1024,
        "evaluation.measures.induction": 0,
    },
    "polynomial": {
        "model.layers": 5,
        "batch_size": 64,
        "steps": 2000,
        "evaluation.every": 250,
        "evaluation.examples": 1024,
        "evaluation.measures.induction": 0,
    },
    "addition": {
        "batch_size": 64,
        "steps": 1500,
        "evaluation.every": 100,
        "evaluation.examples": 256,
        "evaluation.measures.induction": 0,
    },
    "maze": {
        "model.layers": 5,
        "batch_size": 64,
        "steps": 5000,
        "evaluation.every": 500,
        "evaluation.examples": 512,
        "evaluation.measures.induction": 0,
    },
    "countdown": {
        "batch_size": 128,
        "steps": 2000,
        "evaluation.every": 100,
        "evaluation.measures.induction": 0,
    },
    "satisfiability": {
        "model.layers": 3,
        "steps": 2000,
        "evaluation.every": 100,
        "evaluation.measures.induction": 0,
    },
}

_TABLE_S13: dict[str, Any] = {
    "optimiser.peak_lr": 1e-4,
    "schedule.warmup_steps": 2000,
    "schedule.decay_ratio": 0.03,
    "steps": 100_000,
    "evaluation.every": 1000,
    "checkpoint.seconds": 600.0,
}
"""Shared by all; each `batch_size` below gives a step 2^18 tokens."""

PAPER: dict[str, dict[str, Any]] = {
    "induction": _TABLE_S13 | {"model.size": "1M", "task.length": 2048, "batch_size": 128},
    "stories": _TABLE_S13 | {"model.size": "1M", "batch_size": 2048, "evaluation.examples": 100, "evaluation.split": "test"},
    "polynomial": _TABLE_S13
    | {
        "task.p": 7,
        "task.k": 5,
        "task.operations": [1, 5],
        "task.test_operations": [1, 10],
        "model.size": "30M",
        "batch_size": 6240,
        "evaluation.examples": 2000,
    },
}
"""Sizes are the smallest that the paper trains; `--size` gives the others."""

SCALES = {"laptop": PRESETS, "paper": PAPER}
"""Settings by scale and task."""
