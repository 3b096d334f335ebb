"""What `lab train TASK` does with nothing else: where its settings differ from an experiment's defaults, so that it learns.

Steps, rates and sizes were measured; docs/tasks.md has the numbers.
"""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "induction": {"task.test_period": [28, 30]},
    "stories": {"steps": 1200, "batch_size": 16, "evaluation.every": 50, "evaluation.examples": 128},
    "spelled": {"task.task.name": "induction", "batch_size": 16, "evaluation.examples": 128},
    "recall": {"steps": 2000, "evaluation.every": 100, "evaluation.examples": 128},
    "star": {
        "model.layers": 5,
        "optimiser.peak_lr": 2e-3,
        "steps": 14_000,
        "evaluation.every": 250,
        "evaluation.induction_scores": False,
    },
    "modular": {
        "model.width": 128,
        "model.layers": 3,
        "optimiser.weight_decay": 1.0,
        "batch_size": 512,
        "steps": 1200,
        "evaluation.every": 50,
    },
    "polynomial": {
        "task.p": 3,
        "task.k": 2,
        "task.operations": [1, 3],
        "task.test_operations": [1, 4],
        "model.layers": 5,
        "batch_size": 64,
        "steps": 2000,
        "evaluation.every": 250,
        "evaluation.induction_scores": False,
    },
    "addition": {"steps": 2000, "batch_size": 64, "evaluation.every": 100, "evaluation.induction_scores": False},
}
