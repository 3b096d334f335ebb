"""Agreement at distance 1, at the size and the rate of results/reach, which several studies share.

Two heads escape the plateau within 0.5 M tokens there, and one head not within the 1.4 M of a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.reproduce.comparison.configuration import Family
from lab.reproduce.sizes import SETTINGS as OF_ANY_SIZE
from lab.reproduce.sizes import SIZES

SETTINGS: Mapping[str, Any] = {**OF_ANY_SIZE, **SIZES["4 layers, width 64"]}


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
