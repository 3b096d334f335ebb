"""A task as a user would write it, outside the package: random bits and their parity."""

from dataclasses import dataclass

import numpy as np

from tasks import PADDING, Batch, Task
from tasks.settings import require


@dataclass(frozen=True, kw_only=True)
class Parity(Task):
    """`bits` random bits and, as the answer, their parity."""

    name = "parity"
    summary = "say whether the bits before add up to an odd number"
    source = "a user"
    roles = (PADDING, "bit", "parity")
    headline = "first"
    has_answer = True

    bits: int = 16
    """Bits of an instance."""

    def check(self) -> None:
        require(self.bits >= 1, "parity.bits", self.bits, "at least 1")

    @property
    def vocab_size(self) -> int:
        return 2

    @property
    def length(self) -> int:
        return self.bits + 1

    def word(self, token: int) -> str:
        return str(token)

    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        bits = rng.integers(2, size=(size, self.bits))
        tokens = np.concatenate([bits, bits.sum(axis=1, keepdims=True) % 2], axis=1)
        roles = np.broadcast_to(np.where(np.arange(self.length) < self.bits, 1, 2), tokens.shape)
        answer = np.tile([self.bits, self.length], (size, 1))
        return self.rows(tokens, roles, answer)

    def solve(self, prompt: np.ndarray) -> np.ndarray:
        return np.array([prompt.sum() % 2])
