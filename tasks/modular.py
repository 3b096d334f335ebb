"""Arithmetic modulo a prime, the task of grokking (Power et al. 2022): a few thousand facts, some of which are never shown.

One row, for example, modulo 97:

    41 * 7 = 93
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.base import PADDING, Batch, Task
from tasks.errors import TaskError
from tasks.settings import require
from tasks.streams import SPLITS, partition

OPERAND, SIGN, ANSWER = 1, 2, 3


@dataclass(frozen=True, kw_only=True)
class Modular(Task):
    """a o b = c modulo a prime; the pairs (a, b) are divided once and for all between training, validation and test."""

    name: ClassVar[str] = "modular"
    summary: ClassVar[str] = "calculate modulo a prime from a part of all facts"
    source: ClassVar[str] = "Power et al. 2022 (grokking)"
    roles = (PADDING, "operand", "sign", "answer")
    headline: ClassVar[str] = "accuracy/answer"
    has_answer: ClassVar[bool] = True
    splits_itself: ClassVar[bool] = True

    p: int = 97
    """Prime modulus."""
    operation: Literal["+", "-", "*", "/", "x2+y2", "x3+xy"] = "+"
    """What is done with a and b; of `/`, b is never 0."""
    train_share: float = 0.5
    """Share of all pairs that training shows; half of the others validates, half tests."""
    loss_on: Literal["all", "answer"] = "answer"

    def check(self) -> None:
        prime = self.p >= 3 and all(self.p % divisor for divisor in range(2, int(self.p**0.5) + 1))
        require(prime and self.p <= 1009, "modular.p", self.p, "a prime between 3 and 1009")
        require(0 < self.train_share < 1, "modular.train_share", self.train_share, "between 0 and 1, both excluded")
        _pairs(self.p, self.operation == "/", self.train_share)

    @property
    def vocab_size(self) -> int:
        return self.p + 2

    @property
    def length(self) -> int:
        return 5

    def word(self, token: int) -> str:
        return str(token) if token < self.p else (self.operation, "=")[token - self.p]

    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        mine = _pairs(self.p, self.operation == "/", self.train_share)[SPLITS.index(split)]
        a, b = np.divmod(mine[rng.integers(len(mine), size=size)], self.p)
        sign, equals = np.full(size, self.p), np.full(size, self.p + 1)
        tokens = np.stack([a, sign, b, equals, self.result(a, b)], axis=1)
        roles = np.broadcast_to([OPERAND, SIGN, OPERAND, SIGN, ANSWER], tokens.shape)
        return self.rows(tokens, roles, np.tile([4, 5], (size, 1)))

    def result(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
        """A o b modulo p, element by element."""
        match self.operation:
            case "+":
                value = a + b
            case "-":
                value = a - b
            case "*":
                value = a * b
            case "/":
                value = a * _inverses(self.p)[b]
            case "x2+y2":
                value = a * a + b * b
            case "x3+xy":
                value = a * a % self.p * a + a * b
        return value % self.p

    def instances(self, tokens: NDArray[np.int64]) -> NDArray[np.integer]:
        """The pair (a, b)."""
        return tokens[:, [0, 2]]

    def floor(self, role: str) -> float | None:
        """`answer` and `sign`: 0. `operand`: none, since which facts are shown is no law."""
        return 0.0 if self.role(role) in (SIGN, ANSWER) else None

    def chance(self, role: str) -> float | None:
        """1 / p for an answer."""
        return 1 / self.p if self.role(role) == ANSWER else None

    def solve(self, prompt: NDArray[np.int64]) -> NDArray[np.int64]:
        p = self.p
        fits = len(prompt) == 4 and prompt[1] == p and prompt[3] == p + 1 and max(prompt[0], prompt[2]) < p
        if not fits or (self.operation == "/" and prompt[2] == 0):
            raise TaskError(f"modular: {' '.join(map(str, prompt))} is not a {self.operation} b = with numbers below {p}")
        return self.result(prompt[:1], prompt[2:3])

    def format(self, row: Batch) -> str:
        """As `41 * 7 = 93`."""
        return " ".join(map(self.word, row.tokens[0].tolist()))

    def parse(self, line: str) -> Batch:
        words = line.split()
        if len(words) != 5 or words[1] != self.operation or words[3] != "=" or not all(w.isdigit() for w in words[::2]):
            raise TaskError(f"modular: {line!r} is not a line like '3 {self.operation} 4 = 7'")
        tokens = np.array([[int(words[0]), self.p, int(words[2]), self.p + 1, int(words[4])]])
        answer = self.solve(tokens[0, :4])
        require(answer[0] == tokens[0, 4], "modular: the answer", int(tokens[0, 4]), str(answer[0]))
        return self.rows(tokens, np.array([[OPERAND, SIGN, OPERAND, SIGN, ANSWER]]), np.array([[4, 5]]))


@lru_cache(maxsize=16)
def _pairs(p: int, divided: bool, train_share: float) -> tuple[NDArray[np.int64], ...]:
    """The pairs a p + b of each split."""
    grid = np.arange(p * p)
    if divided:
        grid = grid[grid % p != 0]
    rest = (1 - train_share) / 2
    splits = partition(len(grid), (train_share, rest, rest), key=f"modular/{p}/{divided}")
    return tuple(grid[splits == number] for number in range(3))


@lru_cache(maxsize=16)
def _inverses(p: int) -> NDArray[np.int64]:
    """The multiplicative inverse of each number modulo p, 0 of 0 (Fermat: b^(p - 2))."""
    return np.array([pow(b, p - 2, p) for b in range(p)])
