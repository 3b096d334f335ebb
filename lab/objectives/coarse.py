"""The class of the next token as a further target of head 1: a control that looks no further ahead."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lab.config import Experiment
from lab.objectives.cross_entropy import weighted_loss
from lab.objectives.kinds import Objective
from lab.objectives.losses import States
from lab.objectives.targets import IGNORE, StepData, future_targets

MODULUS = 4
"""Number of classes of a task without classes of its own: ids modulo this."""


class Coarse(nn.Module):
    """The cross-entropy of the class of the next token: -log of the sum of head 1's probabilities over the class.

    After the byte prefixes of modded-nanogpt, which are classes of its tokens. Logits are formed in chunks.

    Attributes:
        classes_V: (V,) int64, the class of each token: `Task.classes`, or ids modulo `MODULUS`.
    """

    classes_V: Tensor

    def __init__(self, experiment: Experiment) -> None:
        super().__init__()
        task = experiment.task
        classes_V = torch.arange(task.vocab_size) % MODULUS if task.classes is None else torch.from_numpy(task.classes)
        self.register_buffer("classes_V", classes_V, persistent=False)

    def forward(self, states: States) -> Tensor:
        """Return the loss summed over next tokens, (1,) in nats."""
        targets_R = future_targets(states.tokens_BT, states.scored_BT, 1).flatten()
        hidden_RD = states.hidden_NBSD[0].flatten(0, 1)
        weights_R = (targets_R != IGNORE).to(torch.promote_types(hidden_RD.dtype, torch.float32))
        class_R = self.classes_V[targets_R.clamp(min=0)]

        def class_entropy(logits_CV: Tensor, chunk: slice) -> Tensor:
            return replace_by_gradient(logits_CV, self.classes_V == class_R[chunk, None]) * weights_R[chunk]

        return weighted_loss(hidden_RD, states.matrix(1), weights_R, class_entropy)[0][None]


def replace_by_gradient(logits_CV: Tensor, inside_CV: Tensor) -> Tensor:
    """Compute minus the log-probabilities (C,) of sets of tokens, and put their gradient in place of the logits.

    The gradient is p_v - q_v, q the distribution within the set.
    """
    torch.log_softmax(logits_CV, 1, out=logits_CV)
    within_CV = logits_CV.masked_fill(~inside_CV, -torch.inf)
    losses_C = -within_CV.logsumexp(1)
    logits_CV.exp_().sub_(within_CV.add_(losses_C[:, None]).exp_())
    return losses_C


def count_next_tokens(step: StepData) -> Tensor:
    """Count the next tokens of a step, (1,)."""
    return step.scored_BT[:, 1:].sum()[None]


COARSE = Objective(extra=Coarse, counts=count_next_tokens)
