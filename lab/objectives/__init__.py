"""Objectives: targets of the prediction heads and their losses. Plain torch."""

from lab.objectives.cross_entropy import score_predictions, weighted_cross_entropy
from lab.objectives.kinds import Objective, build_extra, describe_target, find_objective
from lab.objectives.losses import Loss, States, matrices_of, multi_head_loss
from lab.objectives.step import hide_answer, make_microbatches, make_step_data
from lab.objectives.targets import IGNORE, Inputs, Microbatch, StepData, Targets, future_targets

__all__ = [
    "IGNORE",
    "Inputs",
    "Loss",
    "Microbatch",
    "Objective",
    "States",
    "StepData",
    "Targets",
    "build_extra",
    "describe_target",
    "find_objective",
    "future_targets",
    "hide_answer",
    "make_microbatches",
    "make_step_data",
    "matrices_of",
    "multi_head_loss",
    "score_predictions",
    "weighted_cross_entropy",
]
