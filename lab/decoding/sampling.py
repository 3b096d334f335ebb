"""The distribution from which a token is drawn, and the draw. B sequences, V vocabulary."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lab.errors import LabError


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn from logits.

    Attributes:
        temperature: Divides the logits, above 0.
        top_k: Only the k most probable tokens are drawn; None for all.
        top_p: Only the most probable tokens are drawn whose probabilities reach this sum, above 0; 1 for all.
        seed: Of the draws.
        drafts: How a draft without branches is made: `sampled` from its heads' distributions, or `greedy`, their most probable
            tokens. The output has the same distribution; trees with branches are greedy.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    seed: int = 0
    drafts: Literal["sampled", "greedy"] = "sampled"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise LabError(f"temperature must be a number above 0, not {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise LabError(f"top_k must be at least 1, not {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise LabError(f"top_p must be above 0 and at most 1, not {self.top_p}")
        if not 0 <= self.seed < 2**63:
            raise LabError(f"seed must be between 0 and 2**63 - 1, not {self.seed}")
        if self.drafts not in ("sampled", "greedy"):
            raise LabError(f"drafts must be sampled or greedy, not {self.drafts!r}")

    def probabilities(self, logits: Tensor) -> Tensor:
        """Compute the probability of each token, (..., V) float64, from logits (..., V); of equal tokens the first are kept."""
        logits = logits.double()
        if self.temperature != 1:
            logits = (logits - logits.amax(-1, keepdim=True)) / self.temperature  # no inf at the smallest temperatures
        if self.top_k is not None and self.top_k < logits.shape[-1]:
            kept = logits.argsort(dim=-1, descending=True, stable=True)[..., : self.top_k]
            logits = torch.full_like(logits, -torch.inf).scatter_(-1, kept, logits.gather(-1, kept))
        probabilities = logits.softmax(-1)
        if self.top_p == 1:
            return probabilities
        order = probabilities.argsort(dim=-1, descending=True, stable=True)
        descending = probabilities.gather(-1, order)
        before = descending.cumsum(-1) - descending  # of all tokens more probable: the most probable one is always kept
        nucleus = torch.zeros_like(probabilities).scatter_(-1, order, descending.masked_fill(before >= self.top_p, 0))
        return nucleus / nucleus.sum(-1, keepdim=True)


def uniform(generator: torch.Generator, *shape: int) -> Tensor:
    """Draw the random numbers that select tokens, float64 in [0, 1)."""
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def generator_of(sampling: Sampling | None) -> torch.Generator:
    """Return a new generator on the CPU, seeded by `sampling`; greedy decoding does not depend on it."""
    return torch.Generator().manual_seed(0 if sampling is None else sampling.seed)


def pick(logits: Tensor, sampling: Sampling | None, uniform: Tensor) -> Tensor:
    """Pick tokens (...) int64 from logits (..., V).

    Args:
        logits: (..., V).
        sampling: None for the most probable token, the smallest id among equals.
        uniform: (...) float64 in [0, 1), which select the tokens.
    """
    return logits.argmax(-1) if sampling is None else draw(sampling.probabilities(logits), uniform)


def draw(weights: Tensor, uniform: Tensor) -> Tensor:
    """Draw tokens (...) int64 with probabilities proportional to weights (..., V) float64, by numbers (...) in [0, 1)."""
    cumulated = weights.cumsum(-1)
    at = uniform[..., None].to(weights.device) * cumulated[..., -1:]
    return torch.searchsorted(cumulated, at, right=True)[..., 0].clamp(max=weights.shape[-1] - 1)
