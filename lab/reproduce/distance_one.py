"""Agreement at distance 1, at the size and the rate of results/reach, which several studies share.

Two heads escape the plateau within 0.5 M tokens there, and one head not within the 1.4 M of a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.reproduce.comparison.configuration import Family

SETTINGS: Mapping[str, Any] = {
    "task": "agreement",
    "task.distance": 1,
    "model.layers": 4,
    "model.width": 64,
    "model.matched": "layers",
    "batch_size": 128,
    "steps": 900,
    "optimiser.peak_lr": 2e-3,
    "evaluation.every": 25,
    "evaluation.examples": 256,
    "evaluation.measures.induction": 0,
}


def case_family(conditions: Mapping[str, Mapping[str, Any]], settings: Mapping[str, Any] = SETTINGS) -> Family:
    """Return a family of conditions that are compared by when they know the case.

    Args:
        conditions: Settings of each condition, by its name; the first is the baseline.
        settings: Settings that all conditions share.
    """
    return Family(
        settings=settings,
        conditions=conditions,
        metric="accuracy/case_first/1",
        label="accuracy on the case",
        escaped=0.6,
        solved=0.9,
    )
