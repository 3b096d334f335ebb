"""Choices with and without consequences, the simplest choice points (Gloeckle et al. 2024, appendix L.3, Fig 9).

A sequence with two blocks of a choice, three consequences, and a free token:

    s0 s1 s2 s3 c3 f6 f0 f2 r5 c1 f4 f3 f7 r0

Choices (c) and free tokens (r) are drawn uniformly and independently. The j-th consequence (f) is a fixed permutation of the
choice, which a model must store in its weights. Choices and free tokens are equally hard to predict; consequences are as hard
before the choice, and certain after it. With n prediction heads, n (n + 1) / 2 terms of the loss depend on a choice that has at
least n - 1 consequences, and n terms on a free token.

Shapes: B sequences, T positions, V vocabulary, K blocks, S tokens of a block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks.core.base import PADDING, Batch, Bound, Task
from tasks.core.rng import stream
from tasks.errors import TaskError
from tasks.settings import require

LEAD, CHOICE, CONSEQUENCE, FREE = 1, 2, 3, 4


@dataclass(frozen=True, kw_only=True)
class Choice(Task):
    """Fixed tokens, then blocks of a random choice, its consequences, and a random token without consequences."""

    name: ClassVar[str] = "choice"
    summary: ClassVar[str] = "predict choices that decide the tokens after them, and others that decide nothing"
    source: ClassVar[str] = "Gloeckle et al. 2024, section 5.1 and appendix L.3 (Fig 9)"
    roles = (PADDING, "lead", "choice", "consequence", "free")
    role_labels: ClassVar[Mapping[str, str]] = {
        "lead": "fixed tokens at the beginning",
        "choice": "choices",
        "consequence": "consequences of choices",
        "free": "random tokens without consequences",
    }
    headline: ClassVar[str] = "accuracy/consequence"

    options: int = 8
    """Number of tokens from which a choice is drawn; free tokens and consequences have as many."""
    consequences: int = 4
    """Tokens that follow from a choice."""
    blocks: int = 4
    """Choices in a sequence."""
    lead: int = 8
    """Fixed tokens at the beginning, all different: the number of positions before the first choice."""

    def check(self) -> None:
        require(self.options >= 2, "choice.options", self.options, "at least 2")
        require(self.consequences >= 0, "choice.consequences", self.consequences, "at least 0")
        require(self.blocks >= 2, "choice.blocks", self.blocks, "at least 2")
        require(self.lead >= 1, "choice.lead", self.lead, "at least 1")

    @property
    def vocab_size(self) -> int:
        return self.lead + 3 * self.options

    @property
    def block(self) -> int:
        """Tokens of a block."""
        return 2 + self.consequences

    @property
    def length(self) -> int:
        return self.lead + self.blocks * self.block

    @property
    def rule(self) -> NDArray[np.int64]:
        """(consequences, options) int64, the number of each consequence by the number of the choice: permutations, from 0."""
        return _rule(self.options, self.consequences)

    def word(self, token: int) -> str:
        if token < self.lead:
            return f"s{token}"
        kind, number = divmod(token - self.lead, self.options)
        return f"{'cfr'[kind]}{number}"

    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        choice_BK, free_BK = rng.integers(self.options, size=(2, size, self.blocks))
        blocks_BKS = np.empty((size, self.blocks, self.block), dtype=np.int64)
        blocks_BKS[:, :, 0] = self._first(CHOICE) + choice_BK
        blocks_BKS[:, :, 1:-1] = self._first(CONSEQUENCE) + self.rule.T[choice_BK]
        blocks_BKS[:, :, -1] = self._first(FREE) + free_BK
        tokens = np.concatenate([np.tile(np.arange(self.lead), (size, 1)), blocks_BKS.reshape(size, -1)], axis=1)
        return self.rows(tokens, np.tile(self._roles, (size, 1)))

    def instances(self, tokens: NDArray[np.int64]) -> NDArray[np.integer]:
        """Return all choices and free tokens, which determine the rest."""
        blocks_BKS = tokens[:, self.lead :].reshape(len(tokens), self.blocks, self.block)
        return np.concatenate([blocks_BKS[:, :, 0], blocks_BKS[:, :, -1]], axis=1)

    def instance_count(self) -> Bound:
        return Bound(self.options ** (2 * self.blocks))

    def floor(self, role: str) -> float | None:
        """Return ln(options) for `choice` and `free`, and 0 for `lead` and `consequence`."""
        number = self.role(role)
        return None if number == 0 else float(np.log(self.options)) if number in (CHOICE, FREE) else 0.0

    def chance(self, role: str) -> float | None:
        """Return 1 for `lead`, and 1 / options for the other roles."""
        number = self.role(role)
        return None if number == 0 else 1.0 if number == LEAD else 1 / self.options

    def optimum(self, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        random_T = np.isin(self._roles, (CHOICE, FREE))
        return np.tile(np.where(random_T, np.log(self.options), 0.0), (len(tokens), 1))

    def next_distribution(self, tokens: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Return the uniform distribution over choices or free tokens, or the certain token; None after the whole sequence."""
        position = tokens.shape[1]
        if position >= self.length:
            return None
        role, chances_BV = int(self._roles[position]), np.zeros((len(tokens), self.vocab_size))
        if role in (CHOICE, FREE):
            begin = self._first(role)
            chances_BV[:, begin : begin + self.options] = 1 / self.options
        elif role == LEAD:
            chances_BV[:, position] = 1
        else:
            step = (position - self.lead) % self.block
            right_B = self._first(CONSEQUENCE) + self.rule[step - 1, tokens[:, position - step] - self._first(CHOICE)]
            chances_BV[np.arange(len(tokens)), right_B] = 1
        return chances_BV

    def latents(self, batch: Batch) -> Mapping[str, NDArray[np.generic]]:
        """Return `choice`, the number of the last choice, from 0."""
        begin_T = np.maximum.accumulate(np.where(self._roles == CHOICE, np.arange(self.length), -1))
        choice_BT = batch.tokens[:, np.maximum(begin_T, 0)] - self._first(CHOICE)
        known_BT = (begin_T >= 0) & (choice_BT >= 0) & (choice_BT < self.options)
        return {"choice": np.where(known_BT, choice_BT, -1)}

    def label(self, tokens: NDArray[np.int64]) -> Batch:
        for position in range(self.length):
            chances_BV = self.next_distribution(tokens[:, :position])
            assert chances_BV is not None
            wrong_B = chances_BV[np.arange(len(tokens)), tokens[:, position]] == 0
            for row in np.flatnonzero(wrong_B)[:1]:
                allowed = [self.word(int(token)) for token in np.flatnonzero(chances_BV[row])]
                right = allowed[0] if len(allowed) == 1 else f"one of {allowed[0]} to {allowed[-1]}"
                raise TaskError(f"choice: token {position} must be {right}, not {self.word(int(tokens[row, position]))}")
        return self.rows(tokens, np.tile(self._roles, (len(tokens), 1)))

    def _first(self, role: int) -> int:
        """Return the first id of the tokens of a role."""
        return 0 if role == LEAD else self.lead + (role - CHOICE) * self.options

    @property
    def _roles(self) -> NDArray[np.int64]:
        """(T,) int64, the role of each position."""
        return np.array([LEAD] * self.lead + [CHOICE, *[CONSEQUENCE] * self.consequences, FREE] * self.blocks)


@lru_cache(maxsize=16)
def _rule(options: int, consequences: int) -> NDArray[np.int64]:
    """Draw the permutation of each consequence."""
    rng = stream(f"choice/{options}", seed=0, index=0)
    rule = np.array([rng.permutation(options) for _ in range(consequences)], dtype=np.int64).reshape(consequences, options)
    rule.flags.writeable = False
    return rule
