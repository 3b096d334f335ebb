"""The data of an optimiser step as its objective sees it, and the targets that the objective makes of it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

IGNORE = -100
"""A target that does not count."""


class StepData(NamedTuple):
    """The sequences of an optimiser step and the settings of its objective.

    Attributes:
        tokens_BT: (B, T) int64.
        scored_BT: (B, T) bool, whether a token counts as a target.
        n_future: N, prediction heads.
        window: `objective.window`, tokens.
        shuffled_BT: (B, T) int64, for each sequence the tokens of another one (`IGNORE` where not scored), drawn anew in each
            step; None unless the objective has `shuffles`.
        answer_B2: (B, 2) int64, begin and end (exclusive) of the answers.
        hidden_token: The id of a token that the network reads as its learnt embedding of no token: V.
        draw: Keys of the step's random draws: the run's seed and the optimiser step, counted from 0.
        present_BT: (B, T) bool, whether a position has a token and no padding, which follows all tokens.
        longest_answer: Most tokens of an answer of the task; 0 without answers.
    """

    tokens_BT: Tensor
    scored_BT: Tensor
    n_future: int
    window: int = 1
    shuffled_BT: Tensor | None = None
    answer_B2: Tensor | None = None
    hidden_token: int = 0
    draw: tuple[int, int] = (0, 0)
    present_BT: Tensor | None = None
    longest_answer: int = 0


class Inputs(NamedTuple):
    """The network's input in a step, S positions.

    Attributes:
        tokens_BS: (B, S) int64.
        positions_BS: (B, S) int64 below S, for RoPE; None for 0 to S - 1.
        mask_B1SS: (B, 1, S, S) bool, True where a position (third) attends to another (last); None for causal attention.
    """

    tokens_BS: Tensor
    positions_BS: Tensor | None = None
    mask_B1SS: Tensor | None = None

    def split(self, size: int) -> list[Inputs]:
        """Split into groups of `size` sequences."""
        tokens = torch.split(self.tokens_BS, size)
        others = [[None] * len(tokens) if each is None else torch.split(each, size) for each in self[1:]]
        return [Inputs(*each) for each in zip(tokens, *others, strict=True)]


class Targets(NamedTuple):
    """The targets of each prediction head at each position: a token, or a distribution over K tokens.

    Attributes:
        tokens: (N, B, T) int64, or (N, B, T, K) with scores; `IGNORE` where nothing counts. Some objectives have fewer or more
            than N.
        scores_NBTK: None, or float32: the softmax over K gives each token's probability; -inf where ignored.
    """

    tokens: Tensor
    scores_NBTK: Tensor | None = None

    def per_head(self) -> Tensor:
        """Count the positions at which each head has a target: (N,) int64."""
        counted = self.tokens != IGNORE
        return (counted if self.scores_NBTK is None else counted.any(-1)).sum((1, 2))

    def split(self, size: int) -> list[Targets]:
        """Split into groups of `size` sequences."""
        tokens = torch.split(self.tokens, size, dim=1)
        scores = [None] * len(tokens) if self.scores_NBTK is None else torch.split(self.scores_NBTK, size, dim=1)
        return [Targets(*each) for each in zip(tokens, scores, strict=True)]


class Microbatch(NamedTuple):
    """The data of one forward and backward pass.

    Attributes:
        inputs: The network's input.
        targets: The targets of its sequences.
        counts_L: (L,) float32, targets of each loss in the whole step, divided by the number of its microbatches: the mean over
            microbatches of their losses is the loss of the whole step, however unevenly targets are spread.
        seen: Tokens and scored tokens that this microbatch adds to those seen: the whole step's in the first microbatch of
            each process, 0 in the others.
        tokens_BT: (B, T) int64, the tokens as the task drew them; None unless the objective has losses of its own.
        scored_BT: (B, T) bool, whether a token counts as a target; None as `tokens_BT`.
        present_BT: (B, T) bool, whether a position has a token and no padding; None as `tokens_BT`.
    """

    inputs: Inputs
    targets: Targets
    counts_L: Tensor
    seen: tuple[int, int] = (0, 0)
    tokens_BT: Tensor | None = None
    scored_BT: Tensor | None = None
    present_BT: Tensor | None = None


def future_targets(tokens_BT: Tensor, scored_BT: Tensor, n_future: int) -> Tensor:
    """Shift tokens so that the target of head i at position t is token t + i.

    With tokens 5 6 7 8 and two heads, head 1 has 6 7 8 - and head 2 has 7 8 - -, where - is `IGNORE`.

    Args:
        tokens_BT: (B, T) int64.
        scored_BT: (B, T) bool, whether the token at each position counts as a target.
        n_future: N, number of prediction heads.

    Returns:
        (N, B, T) int64; `IGNORE` where the target is not scored or lies past the end of the sequence.
    """
    return shift(tokens_BT.masked_fill(~scored_BT, IGNORE), n_future)


def shift(visible_BT: Tensor, n_future: int) -> Tensor:
    """Shift tokens as `future_targets` does, with `IGNORE` in place of tokens that are not scored already."""
    length = visible_BT.shape[1]
    padded = F.pad(visible_BT, (0, n_future), value=IGNORE)
    return torch.stack([padded[:, i : i + length] for i in range(1, n_future + 1)])
