"""The set of the coming tokens as a multi-label target of prediction heads 2..N."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.config import Experiment
from lab.objectives.coming import Coming
from lab.objectives.cross_entropy import weighted_loss
from lab.objectives.kinds import Objective
from lab.objectives.losses import States
from lab.objectives.targets import IGNORE, StepData, Targets, future_targets

FIRST = 2
"""The bag begins with token t + 2: the next token is head 1's."""


class FutureBag(nn.Module):
    """The loss of heads 2..N at a position with logits a: (1/V) [sum_v softplus(a_v) - sum over the bag of a_v].

    Summary prediction of the future by a bag of tokens (arXiv 2510.14751, from notes of others). The bag is the set of the
    scored tokens t + 2 to t + `window`; a position without any has no loss. Logits are formed in chunks, and a bag for the
    positions of one chunk at a time.
    """

    def __init__(self, experiment: Experiment) -> None:
        super().__init__()
        self.window = experiment.objective.window

    def forward(self, states: States) -> Tensor:
        """Return the loss of each of heads 2..N, summed over positions, (N - 1,) in nats."""
        coming = Coming(states.tokens_BT, states.scored_BT, FIRST, self.window)
        counted_BT = has_bag(states.scored_BT, self.window)
        hidden_ERD = states.hidden_NBSD[1:].flatten(1, 2)
        weights_R = counted_BT.flatten().to(torch.promote_types(hidden_ERD.dtype, torch.float32))

        def multi_label(logits_CV: Tensor, chunk: slice) -> Tensor:
            return replace_by_gradient(logits_CV, coming.at(chunk)) * weights_R[chunk]

        losses = [
            weighted_loss(hidden_RD, states.matrix(head), weights_R, multi_label)[0]
            for head, hidden_RD in enumerate(hidden_ERD, start=2)
        ]
        return torch.stack(losses) if losses else weights_R.new_zeros(0)


def replace_by_gradient(logits_CV: Tensor, bags_CK: Tensor) -> Tensor:
    """Compute the multi-label losses (C,), and put their gradient in place of the logits; bags have no token twice."""
    size, inside_CK, index_CK = logits_CV.shape[1], (bags_CK != IGNORE).to(logits_CV.dtype), bags_CK.clamp(min=0)
    losses_C = (F.softplus(logits_CV).sum(1) - (logits_CV.gather(1, index_CK) * inside_CK).sum(1)) / size
    logits_CV.sigmoid_().scatter_add_(1, index_CK, -inside_CK).div_(size)
    return losses_C


def has_bag(scored_BT: Tensor, window: int) -> Tensor:
    """Return whether any of the tokens t + 2 to t + `window` is scored, (B, T) bool."""
    length = scored_BT.shape[1]
    last = min(window, length - 1)
    before_BS = F.pad(scored_BT.long(), (1, last)).cumsum(1)  # scored tokens before each position
    return before_BS[:, last + 1 : last + 1 + length] > before_BS[:, FIRST : FIRST + length]


def next_token(step: StepData) -> Targets:
    """Give head 1 its next token, and heads 2..N the set of the tokens t + 2 to t + `window`, as one label for each token."""
    return Targets(future_targets(step.tokens_BT, step.scored_BT, 1))


def count_bags(step: StepData) -> Tensor:
    """Count the positions with a bag, (N - 1,)."""
    return has_bag(step.scored_BT, step.window).sum().expand(step.n_future - 1)


FUTURE_BAG = Objective(next_token, extra=FutureBag, counts=count_bags, predicts="the set of tokens t+2 to t+{window}")
