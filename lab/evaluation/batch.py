"""Held-out sequences on a device, as measures get them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lab.config import Experiment
from lab.objectives import hide_answer
from tasks import Batch, Task

SEQUENCES_AT_ONCE = 128
"""Sequences of one forward pass in evaluation."""
EVALUATION_SEED = 0
"""Every run of a task is measured on the same sequences, whatever its own seed."""


@dataclass(frozen=True)
class EvaluationBatch:
    """The sequences of a task or of one of its variants at an evaluation point.

    Attributes:
        experiment: The run's settings.
        task: The task whose sequences these are.
        variant: The variant's name; empty for the task itself.
        tokens_BT: (B, T) int64.
        roles_BT: (B, T) int64, index into `task.roles`.
        scored_BT: (B, T) bool, whether a token counts as a target.
        answer_B2: (B, 2) int64, begin and end (exclusive) of the answers.
        inputs_BT: (B, T) int64, the network's inputs: the tokens, or the tokens with the answer hidden.
        step: Optimiser steps done.
        training: Metrics of the training steps since the last evaluation point.
    """

    experiment: Experiment
    task: Task
    variant: str
    tokens_BT: Tensor
    roles_BT: Tensor
    scored_BT: Tensor
    answer_B2: Tensor
    inputs_BT: Tensor
    step: int = 0
    training: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_hidden(self) -> bool:
        """Whether the answer is hidden from the inputs."""
        return self.inputs_BT is not self.tokens_BT


def to_evaluation_batch(
    experiment: Experiment,
    task: Task,
    batch: Batch,
    device: torch.device | str = "cpu",
    *,
    variant: str = "",
    hidden: bool = False,
) -> EvaluationBatch:
    """Move sequences to a device; `hidden` hides the answer from the inputs."""
    tokens_BT = torch.from_numpy(batch.tokens).to(device)
    inputs_BT = torch.from_numpy(hide_answer(batch, task.vocab_size)).to(device) if hidden else tokens_BT
    return EvaluationBatch(
        experiment,
        task,
        variant,
        tokens_BT,
        torch.from_numpy(batch.roles).to(device, torch.int64),
        torch.from_numpy(batch.scored).to(device),
        torch.from_numpy(batch.answer).to(device),
        inputs_BT,
    )
