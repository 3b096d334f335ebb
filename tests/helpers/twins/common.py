"""Losses of prediction heads, one target at a time."""

from collections.abc import Callable

import torch
from torch import Tensor

from lab.training.module import TrainingModule
from tasks import Batch


def scored_tokens(batch: Batch, ahead: int) -> list[tuple[int, int, int]]:
    """List (sequence, position, token) for each scored token that comes `ahead` after a position."""
    size, length = batch.tokens.shape
    return [
        (b, t, int(batch.tokens[b, t + ahead]))
        for b in range(size)
        for t in range(length - ahead)
        if batch.scored[b, t + ahead]
    ]


def log_probabilities(module: TrainingModule, batch: Batch, head: int) -> Callable[[int, int], Tensor]:
    """Return a function of sequence and position: the log-probabilities (V,) of a prediction head, counted from 1."""
    hidden_BTD = module.network(torch.from_numpy(batch.tokens))[head - 1]
    matrix_VD = module.network.unembedding.of_head(head)
    return lambda b, t: (matrix_VD @ hidden_BTD[b, t]).log_softmax(-1)


def head_loss(module: TrainingModule, batch: Batch, head: int, ahead: int | None = None) -> Tensor:
    """Compute the mean cross-entropy of a head's predictions of the token `ahead`, by default as many as its number."""
    log_p = log_probabilities(module, batch, head)
    return torch.stack([-log_p(b, t)[token] for b, t, token in scored_tokens(batch, ahead or head)]).mean()


def head_losses(module: TrainingModule, batch: Batch) -> dict[str, Tensor]:
    """Compute the loss of every prediction head, by its number."""
    return {str(head): head_loss(module, batch, head) for head in range(1, module.network.n_future + 1)}
