"""Losses over prediction heads. Plain torch."""

from lab.objectives.cross_entropy import row_statistics, weighted_cross_entropy
from lab.objectives.losses import OBJECTIVES, Loss, Objective, summed
from lab.objectives.targets import IGNORE, future_targets

__all__ = [
    "IGNORE",
    "OBJECTIVES",
    "Loss",
    "Objective",
    "future_targets",
    "row_statistics",
    "summed",
    "weighted_cross_entropy",
]
