"""Losses of prediction heads, one target at a time."""

from collections.abc import Callable

import torch
from torch import Tensor

from lab.training.module import TrainingModule
from tasks import Batch


def scored_tokens(batch: Batch, ahead: int) -> list[tuple[int, int, int]]:
    """List (sequence, position, token) for each scored token that comes `ahead` positions later."""
    size, length = batch.tokens.shape
    return [
        (b, t, int(batch.tokens[b, t + ahead]))
        for b in range(size)
        for t in range(length - ahead)
        if batch.scored[b, t + ahead]
    ]


def coming_tokens(batch: Batch, b: int, t: int, first: int, last: int) -> list[int]:
    """List the scored tokens that come `first` to `last` positions later, in order, with repetitions."""
    ahead = range(t + first, min(t + last + 1, batch.tokens.shape[1]))
    return [int(batch.tokens[b, at]) for at in ahead if batch.scored[b, at]]


def positions(batch: Batch) -> list[tuple[int, int]]:
    """List all pairs (sequence, position)."""
    size, length = batch.tokens.shape
    return [(b, t) for b in range(size) for t in range(length)]


def logits(module: TrainingModule, batch: Batch, head: int) -> Callable[[int, int], Tensor]:
    """Return a function of sequence and position: the logits (V,) of a prediction head, counted from 1."""
    hidden_BTD = module.network(torch.from_numpy(batch.tokens))[head - 1]
    matrix_VD = module.network.unembedding.of_head(head)
    return lambda b, t: matrix_VD @ hidden_BTD[b, t]


def head_loss(module: TrainingModule, batch: Batch, head: int, ahead: int | None = None) -> Tensor:
    """Compute the mean cross-entropy of a head on the token `ahead` positions later, by default as many as its number."""
    of = logits(module, batch, head)
    return torch.stack([-of(b, t).log_softmax(-1)[token] for b, t, token in scored_tokens(batch, ahead or head)]).mean()


def head_losses(module: TrainingModule, batch: Batch) -> dict[str, Tensor]:
    """Compute the loss of every prediction head, by its number."""
    return {str(head): head_loss(module, batch, head) for head in range(1, module.network.n_future + 1)}
