"""Next-latent prediction, NextLat (arXiv 2511.05963): a small recurrent model predicts the coming states of head 1.

The formula is taken from re-implementations; docs/objectives.md states it, and the choices made here. B sequences,
T positions, D width, K offsets, S = T - 1 positions that have a state before them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.config import Experiment
from lab.model.layers import Linear, RmsNorm
from lab.objectives.divergence import weighted_divergence
from lab.objectives.kinds import Objective
from lab.objectives.losses import States
from lab.objectives.targets import StepData


class NextLatent(nn.Module):
    """The recurrent model and its two losses: predicted states against true ones, themselves and as next-token distributions.

    A step adds f([norm state; embedding of the next token]) to the state; f is a GELU MLP of three layers of width D, whose
    last starts at zero, so that states are first predicted to stay.

    Attributes:
        window: The most tokens ahead.
    """

    def __init__(self, experiment: Experiment) -> None:
        super().__init__()
        width = experiment.model.width
        self.window = experiment.objective.window
        self.norm = RmsNorm(width, experiment.model.norm_epsilon)
        self.first = Linear(2 * width, width)
        self.second = Linear(width, width)
        self.third = Linear(width, width, init="zero")
        for layer in (self.first, self.second, self.third):
            layer.initialise(writers=1)

    def predict(self, states_BTD: Tensor, embedded_BTD: Tensor) -> list[Tensor]:
        """Predict the states 1 to K tokens ahead of each position, given the tokens up to there.

        Args:
            states_BTD: Of head 1.
            embedded_BTD: Embeddings of the tokens.

        Returns:
            For each i from 1 to K, the smaller of `window` and T - 1: the state at t + i predicted at t, (B, T - i, D).
        """
        of_state_DD, of_token_DD = torch.split(self.first.weight, states_BTD.shape[-1], dim=1)
        inner_BSD = F.linear(embedded_BTD[:, 1:], of_token_DD)  # once for all offsets
        found = []
        for ahead in range(1, min(self.window, states_BTD.shape[1] - 1) + 1):
            states_BTD = states_BTD[:, :-1]
            hidden = F.gelu(F.linear(self.norm(states_BTD), of_state_DD) + inner_BSD[:, ahead - 1 :])
            states_BTD = states_BTD + self.third(F.gelu(self.second(hidden)))
            found.append(states_BTD)
        return found

    def forward(self, states: States) -> Tensor:
        """Sum the smooth L1 distance (mean over D) and the divergence (nats) over their pairs of positions, (2,)."""
        hidden_BTD, embedded_BTD = states.hidden_NBSD[0], F.embedding(states.tokens_BT, states.embedding_VD.detach())
        hidden_BTD = hidden_BTD.to(torch.promote_types(hidden_BTD.dtype, torch.float32))
        true_BSD = hidden_BTD[:, 1:].detach()
        predicted = self.predict(hidden_BTD, embedded_BTD)
        all_KBSD = torch.stack([F.pad(each, (0, 0, ahead, 0)) for ahead, each in enumerate(predicted)])
        distances_KBSD = F.smooth_l1_loss(all_KBSD, true_BSD.expand_as(all_KBSD), reduction="none")
        latent_KBS, trained_KBS = (
            pairs.to(true_BSD.dtype) for pairs in pairs_of(states.present_BT, states.scored_BT, self.window)
        )
        rows = all_KBSD.flatten(1, 2), true_BSD.flatten(0, 1)
        divergence = weighted_divergence(*rows, states.matrix(1).detach(), trained_KBS.flatten(1))
        return torch.stack([(distances_KBSD.mean(-1) * latent_KBS).sum(), divergence])


def pairs_of(present_BT: Tensor, scored_BT: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Mark the pairs of positions (t, t + i) that count, by offset i and the later position, from 1.

    Args:
        present_BT: Whether a position has a token.
        scored_BT: Whether a token counts as a target.
        window: The most tokens ahead.

    Returns:
        Two (K, B, S) bool. Distances count where both positions have a token. Divergences count only where head 1 is trained
        at the later one, since its next-token distribution is arbitrary elsewhere.
    """
    offsets = range(1, min(window, present_BT.shape[1] - 1) + 1)
    pairs_KBS = torch.stack([F.pad(present_BT[:, :-i] & present_BT[:, i:], (i - 1, 0)) for i in offsets])
    return pairs_KBS, pairs_KBS & F.pad(scored_BT[:, 2:], (0, 1))


def count_pairs(step: StepData) -> Tensor:
    """Count the pairs of both losses, (2,)."""
    assert step.present_BT is not None
    return torch.stack([pairs.sum() for pairs in pairs_of(step.present_BT, step.scored_BT, step.window)])


NEXT_LATENT = Objective(extra=NextLatent, counts=count_pairs)
