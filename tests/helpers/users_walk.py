"""A task that measures more than losses: a walk on a ring. Its steps can be sampled, judged, and forced."""

import json
from dataclasses import dataclass

import numpy as np

from tasks import PADDING, Batch, Task
from tasks.settings import require

STRIDE = 4
"""The walker chooses a direction at every step of this multiple; the steps between repeat its last choice."""


@dataclass(frozen=True, kw_only=True)
class Walk(Task):
    """Start at a random node; `strides` times choose a direction and take four steps in it."""

    name = "walk"
    summary = "walk on a ring, four steps at a time in one direction"
    source = "a user"
    roles = (PADDING, "place", "choice", "step")
    headline = "sampled/legal"

    ring: int = 16
    """Number of nodes."""
    strides: int = 3

    def check(self) -> None:
        require(self.ring >= 3, "walk.ring", self.ring, "at least 3")
        require(self.strides >= 1, "walk.strides", self.strides, "at least 1")

    @property
    def vocab_size(self) -> int:
        return self.ring

    @property
    def length(self) -> int:
        return 1 + STRIDE * self.strides

    def word(self, token: int) -> str:
        return f"p{token}"

    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        directions = np.repeat(rng.choice([-1, 1], size=(size, self.strides)), STRIDE, axis=1)
        tokens = np.cumsum(np.concatenate([rng.integers(self.ring, size=(size, 1)), directions], axis=1), axis=1) % self.ring
        position = np.arange(self.length)
        roles = np.where(position == 0, 1, np.where(position % STRIDE == 1, 2, 3))
        return self.rows(tokens, np.broadcast_to(roles, tokens.shape))

    def floor(self, role: str) -> float | None:
        return {"place": float(np.log(self.ring)), "choice": float(np.log(2)), "step": 0.0}.get(role)

    def compare(self, tokens: np.ndarray, log_probs: np.ndarray) -> dict[str, float]:
        return {"surprise/largest": float(-log_probs.min())}

    @property
    def sampled_from(self) -> int:
        return 1

    def judge(self, tokens: np.ndarray) -> dict[str, float]:
        steps = (np.diff(tokens, axis=1) % self.ring).reshape(len(tokens), self.strides, STRIDE)
        legal = np.isin(steps, (1, self.ring - 1)).all(axis=(1, 2)) & (steps == steps[:, :, :1]).all(axis=(1, 2))
        return {"legal": float(legal.mean())}

    def forced(self, prefix: np.ndarray) -> np.ndarray:
        """Force every choice to be a step up."""
        up = (prefix[:, -1] + 1) % self.ring
        return up if prefix.shape[1] % STRIDE == 1 else np.full(len(prefix), -1)

    def artifacts(self) -> dict[str, str]:
        return {"places.json": json.dumps([self.word(token) for token in range(self.ring)])}
