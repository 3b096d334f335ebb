"""Objectives as a user would write them in a module of their own."""

import torch
from torch import Tensor, nn

from lab.config import Experiment
from lab.config.objective_table import ObjectiveKind, and_further
from lab.objectives import Objective, States, StepData, Targets, future_targets


def past(step: StepData) -> Targets:
    """Head i predicts token t + 2 - i: head 2 the token it sees, head 3 the one before."""
    own = future_targets(step.tokens_BT, step.scored_BT, 1)
    earlier = [step.tokens_BT.roll(i, dims=1)[None] for i in range(step.n_future - 1)]
    return Targets(torch.cat([own, *earlier]))


backwards = Objective(past)
"""Heads 2..N look back instead of ahead."""


class PastFromBelow(nn.Module):
    """A linear classifier of the token before, from the state after the first trunk layer."""

    def __init__(self, experiment: Experiment) -> None:
        super().__init__()
        self.classify = nn.Linear(experiment.model.width, experiment.task.vocab_size, bias=False)

    def forward(self, states: States) -> Tensor:
        logits_BTV = self.classify(states.sites["trunk.0.residual"][:, 1:])
        return nn.functional.cross_entropy(logits_BTV.flatten(0, 1), states.tokens_BT[:, :-1].flatten(), reduction="sum")[None]


below = Objective(
    extra=PastFromBelow,
    counts=lambda step: torch.tensor([step.tokens_BT[:, 1:].numel()]),
    sites=("trunk.0.residual",),
    kind=ObjectiveKind(losses=and_further("past"), plain=False, parameters=lambda model: 12 * model.width),
)
"""A loss of its own on a trunk layer, with a module of its own."""
