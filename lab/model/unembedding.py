"""From hidden states to logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Unembedding(nn.Module):
    """One matrix that all prediction heads share (the paper's default), or one for each ("replicated unembeddings", Tab S4).

    Whoever forms logits of all heads, as a loss, takes `weight` as it is: its dimensions say which of the two it is.

    Attributes:
        weight: (V, D) if shared, (N, V, D) if replicated.
    """

    def __init__(self, width: int, vocabulary: int, replicas: int | None = None) -> None:
        super().__init__()
        self.weight = nn.Linear(width, vocabulary, bias=False).weight
        if replicas is not None:
            self.weight = nn.Parameter(self.weight.detach().repeat(replicas, 1, 1))

    def of_head(self, head: int) -> Tensor:
        """The matrix (V, D) of a prediction head, counted from 1."""
        return self.weight if self.weight.ndim == 2 else self.weight[head - 1]

    def forward(self, hidden: Tensor, head: int = 1) -> Tensor:
        """Logits (..., V) of hidden states (..., D) of a prediction head, counted from 1."""
        return F.linear(hidden, self.of_head(head))

    @torch.no_grad()
    def initialise(self) -> None:
        """Normal weights of variance 1 / D; replicas start equal, so that at step 0 they are the shared matrix."""
        self.weight.copy_(torch.randn_like(self.of_head(1)) * self.weight.shape[-1] ** -0.5)
