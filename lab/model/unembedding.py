"""From hidden states to logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Matrices = Tensor | Sequence[Tensor]
"""Unembeddings of hidden states (N, ..., D): one matrix (V, D) for all, or one for each of the N."""


class Unembedding(nn.Module):
    """The LM head: one matrix that all prediction heads share (the paper's default), or one for each ("replicated", Tab S4).

    Attributes:
        weight: (V, D) if shared; if replicated a list of N, since a head may be trained without the others.
    """

    def __init__(self, width: int, vocabulary: int, replicas: int | None = None) -> None:
        super().__init__()
        matrix = nn.Linear(width, vocabulary, bias=False).weight
        copies = [nn.Parameter(matrix.detach().clone()) for _ in range(replicas or 0)]
        self.weight = matrix if replicas is None else nn.ParameterList(copies)

    @property
    def matrices(self) -> Matrices:
        """The matrices as a loss of all heads takes them."""
        return self.weight if isinstance(self.weight, Tensor) else tuple(self.weight)

    def of_head(self, head: int) -> Tensor:
        """Return the matrix (V, D) of a prediction head, counted from 1."""
        return self.weight if isinstance(self.weight, Tensor) else self.weight[head - 1]

    def forward(self, hidden: Tensor, head: int = 1) -> Tensor:
        """Compute logits (..., V) of hidden states (..., D) of a prediction head, counted from 1."""
        return F.linear(hidden, self.of_head(head))

    @torch.no_grad()
    def initialise(self) -> None:
        """Draw normal weights of variance 1 / D, the same for all replicas, so that at step 0 they are the shared matrix."""
        drawn = torch.randn_like(self.of_head(1)) * self.of_head(1).shape[1] ** -0.5
        for weight in self.parameters():
            weight.copy_(drawn)
