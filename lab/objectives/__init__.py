"""Losses over prediction heads. Plain torch."""

from lab.objectives.cross_entropy import row_statistics, weighted_cross_entropy
from lab.objectives.kinds import OBJECTIVES, Objective, Targets, find, offset_counts, predicts, window_counts
from lab.objectives.losses import Loss, summed
from lab.objectives.targets import IGNORE, Part, future_targets

__all__ = [
    "IGNORE",
    "OBJECTIVES",
    "Loss",
    "Objective",
    "Part",
    "Targets",
    "find",
    "future_targets",
    "offset_counts",
    "predicts",
    "row_statistics",
    "summed",
    "weighted_cross_entropy",
    "window_counts",
]
