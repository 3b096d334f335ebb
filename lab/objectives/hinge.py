"""A ranking of the coming tokens by head 1's own logits: a nearer token must lead a farther one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.config import Experiment
from lab.objectives.coming import Coming
from lab.objectives.kinds import Objective
from lab.objectives.losses import States
from lab.objectives.targets import IGNORE, StepData

MARGIN = 1.0
"""By how much the logit of a nearer token must exceed that of a farther one."""


class Hinge(nn.Module):
    """The mean over pairs of coming tokens, x nearer than y, of max(0, 1 - (z[x] - z[y])), z head 1's logits.

    The ranking loss of arXiv 2503.10542, from notes of others. The pairs of position t are those of the scored tokens t + 1 to
    t + `window`; a token that comes several times stands at its next occurrence alone, so that no token has to lead itself, and
    no two tokens have to lead each other.
    """

    def __init__(self, experiment: Experiment) -> None:
        super().__init__()
        self.window = experiment.objective.window

    def forward(self, states: States) -> Tensor:
        """Return the sum over pairs of head 1's hinges, (1,) in nats."""
        coming_BTK = Coming(states.tokens_BT, states.scored_BT, 1, self.window).everywhere()
        logits_BTK = logits_of_coming(
            states.hidden_NBSD[0], F.embedding(states.tokens_BT, states.matrix(1)), coming_BTK.shape[2]
        )
        logits_BTK = logits_BTK.to(torch.promote_types(logits_BTK.dtype, torch.float32))
        active, slopes_BTK = find_active_pairs(logits_BTK.detach(), coming_BTK != IGNORE)
        return (MARGIN * active + (slopes_BTK * logits_BTK).sum())[None]


def logits_of_coming(hidden_BTD: Tensor, rows_BTD: Tensor, window: int) -> Tensor:
    """Compute each position's logits of the tokens that come, (B, T, K): of no other token, in O(T K) memory.

    Blocks of K positions are multiplied with the 2 K tokens that they can see.

    Args:
        hidden_BTD: Hidden states.
        rows_BTD: The unembedding's row of each token of the sequences.
        window: K, tokens that come.
    """
    size, length, width = hidden_BTD.shape
    more = -length % window
    hidden_BMKD = F.pad(hidden_BTD, (0, 0, 0, more)).view(size, -1, window, width)
    rows_BMDW = F.pad(rows_BTD, (0, 0, 0, more + window)).unfold(1, 2 * window, window)
    logits_BMKW = hidden_BMKD @ rows_BMDW.to(hidden_BMKD.dtype)
    position_K = torch.arange(window, device=hidden_BTD.device)
    token_KK = position_K[:, None] + position_K + 1  # in its block the position j reads the tokens j + 1 to j + K
    return torch.gather(logits_BMKW, 3, token_KK.expand(*logits_BMKW.shape[:3], window)).flatten(1, 2)[:, :length]


def find_active_pairs(logits_BTK: Tensor, counted_BTK: Tensor) -> tuple[Tensor, Tensor]:
    """Find the pairs that have a loss: their number, and the slope of the loss in each logit, (B, T, K).

    The loss is linear between kinks: the margin of each active pair plus slopes times logits.
    """
    slopes_BTK, count = torch.zeros_like(logits_BTK), logits_BTK.new_zeros(())
    for nearer in range(logits_BTK.shape[2] - 1):
        lead = logits_BTK[..., nearer, None] - logits_BTK[..., nearer + 1 :]
        active = (lead < MARGIN) & counted_BTK[..., nearer, None] & counted_BTK[..., nearer + 1 :]
        slopes_BTK[..., nearer + 1 :] += active
        slopes_BTK[..., nearer] -= active.sum(-1)
        count += active.sum()
    return count, slopes_BTK


def count_pairs(step: StepData) -> Tensor:
    """Count the pairs of a step, (1,)."""
    tokens_BT = (Coming(step.tokens_BT, step.scored_BT, 1, step.window).everywhere() != IGNORE).sum(-1)
    return (tokens_BT * (tokens_BT - 1) // 2).sum()[None]


HINGE = Objective(extra=Hinge, counts=count_pairs)
