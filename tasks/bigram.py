"""Global bigrams against bigrams of the context (Bietti et al. 2023, "Birth of a transformer").

A sequence with one trigger Q, whose follower in this sequence is f:

    c a Q f b a Q f d Q f
    - g g 1 g g g 2 g g 2       g: global, 1: first, 2: copy

After a token that is not a trigger, the next token follows a global Markov chain, which a model can store in its weights. The
follower of a trigger is drawn for each sequence, so that only the context determines it.

Shapes: B sequences, T positions, V vocabulary, K triggers, C sequences of a contrast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.core.base import PADDING, Batch, Bound, Task
from tasks.core.categorical import (
    Aliases,
    build_aliases,
    draw_by_aliases,
    entropies,
    find_modes,
    quantise,
    stationary_distribution,
)
from tasks.core.insight import Contrast, choose
from tasks.core.rng import stream
from tasks.errors import TaskError
from tasks.settings import require

GLOBAL, FIRST, COPY = 1, 2, 3
_FEWEST = 100
"""Least effective number of sequences, so that about six of them are in the validation split."""


@dataclass(frozen=True, kw_only=True)
class Bigram(Task):
    """A global chain over `vocabulary`, interrupted by `triggers` whose followers are drawn for each sequence.

    A trigger follows every other token with the same probability, `trigger_rate`, and its follower is uniform over the other
    tokens. So the position of a trigger is independent of its follower, and floors and chances are exact. (In the paper,
    triggers are frequent tokens.)
    """

    name: ClassVar[str] = "bigram"
    summary: ClassVar[str] = "follow a global chain, and after a trigger repeat its follower in this sequence"
    source: ClassVar[str] = "Bietti et al. 2023"
    roles = (PADDING, "global", "first", "copy")
    role_labels: ClassVar[Mapping[str, str]] = {
        "global": "tokens of the global chain",
        "first": "first follower of a trigger",
        "copy": "repeated follower of a trigger",
    }
    headline: ClassVar[str] = "accuracy/copy"

    vocabulary: int = 32
    """V, token ids; the first `triggers` of them are the triggers."""
    length: int = 64
    """T, tokens in a sequence."""
    triggers: int = 4
    """K, tokens whose follower is drawn for each sequence, uniformly from those that are not triggers."""
    trigger_rate: float = 0.2
    """Probability that one of the triggers, which are equally likely, follows a token that is not a trigger."""
    alpha: float = 0.1
    """Dirichlet concentration of the chain's rows over tokens that are not triggers; small values make few followers likely."""

    def check(self) -> None:
        require(3 <= self.vocabulary <= 512, "bigram.vocabulary", self.vocabulary, "between 3 and 512")
        most = self.vocabulary - 2
        require(1 <= self.triggers <= most, "bigram.triggers", self.triggers, f"between 1 and vocabulary - 2 = {most}")
        require(0 < self.trigger_rate < 1, "bigram.trigger_rate", self.trigger_rate, "between 0 and 1, both excluded")
        require(0.001 <= self.alpha <= 1e9, "bigram.alpha", self.alpha, "between 0.001 and 1e9")
        require(self.length >= 4, "bigram.length", self.length, "at least 4, a trigger and its follower twice")
        number = self._effective_number()
        larger = f"larger, so that two drawn sequences are equal with a probability of at most 1 / {_FEWEST}"
        require(number >= _FEWEST, "bigram.length", self.length, f"{larger} (1 / {number:.0f} here)")

    @property
    def vocab_size(self) -> int:
        return self.vocabulary

    @property
    def chain(self) -> NDArray[np.float64]:
        """(V, V) float64, transition probabilities over all sequences; those of triggers are uniform over the other tokens."""
        return self._world.chain_VV

    def word(self, token: int) -> str:
        return f"Q{token}" if token < self.triggers else str(token)

    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        shape_TB = (self.length, size)
        column_TB, uniform_TB = rng.integers(self.vocabulary, size=shape_TB), rng.random(shape_TB)
        followers_BK = rng.integers(self.triggers, self.vocabulary, size=(size, self.triggers))
        tokens_TB = np.empty(shape_TB, dtype=np.int64)
        tokens_TB[0] = draw_by_aliases(self._world.first, column_TB[0], uniform_TB[0])
        for position in range(1, self.length):
            before_B, after_B = tokens_TB[position - 1], tokens_TB[position]
            cell_B = before_B * self.vocabulary + column_TB[position]
            after_B[:] = draw_by_aliases(self._world.next, cell_B, uniform_TB[position])
            triggered = np.flatnonzero(before_B < self.triggers)
            after_B[triggered] = followers_BK[triggered, before_B[triggered]]
        tokens_BT = np.ascontiguousarray(tokens_TB.T)
        return self.rows(tokens_BT, self._roles_of(tokens_BT))

    def floor(self, role: str) -> float | None:
        """Return the chain's entropy rate at tokens that are not triggers for `global`, ln(V - K) for `first`, 0 for `copy`."""
        rate = float(self._after_others @ entropies(self.chain[self.triggers :]))
        return {GLOBAL: rate, FIRST: float(np.log(self.vocabulary - self.triggers)), COPY: 0.0}.get(self.role(role))

    def chance(self, role: str) -> float | None:
        """Return the share of the most frequent token for `global`, and 1 / (V - K) for followers of triggers."""
        most_frequent = float((self._after_others @ self.chain[self.triggers :]).max())
        other = 1 / (self.vocabulary - self.triggers)
        return {GLOBAL: most_frequent, FIRST: other, COPY: other}.get(self.role(role))

    def optimum(self, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the loss of the chain's transition, ln(V - K) for a trigger's first follower, and 0 for a repeated one."""
        losses = np.empty(tokens.shape)
        with np.errstate(divide="ignore"):  # impossible transitions have an infinite loss
            losses[:, 0] = -np.log(self._world.stationary_V[tokens[:, 0]])
            losses[:, 1:] = -np.log(self.chain[tokens[:, :-1], tokens[:, 1:]])
        losses[self._roles_of(tokens) == COPY] = 0
        return losses

    def contrast(self, batch: Batch) -> Contrast:
        """Change the follower of a repeated trigger throughout; the answer is where it comes for the second time.

        Its successors are likeliest after the new follower. Sequences are left out if no trigger is repeated, or if no other
        token can have the successors of its follower.
        """
        tokens, impossible = batch.tokens, 1e9
        follows_BKT = np.pad(tokens[:, None, :-1] == np.arange(self.triggers)[:, None], ((0, 0), (0, 0), (1, 0)))
        with np.errstate(divide="ignore"):
            nats_VV = np.minimum(-np.log(self.chain), impossible)
        nats_BKV = follows_BKT[:, :, :-1].astype(np.float64) @ nats_VV.T[tokens[:, 1:]]  # of the successors of each follower
        nats_BKV[:, :, : self.triggers] = impossible
        np.put_along_axis(nats_BKV, self._first_followers(tokens)[1][:, :, None], impossible, axis=2)
        allowed_BK = (follows_BKT.sum(axis=2) > 1) & (nats_BKV.min(axis=2) < impossible)
        sequence_C = np.flatnonzero(allowed_BK.any(axis=1))
        chosen = sequence_C, choose(tokens[sequence_C], allowed_BK[sequence_C])
        follows_CT = follows_BKT[chosen]
        return Contrast(
            sequence=sequence_C,
            tokens=np.where(follows_CT, nats_BKV[chosen].argmin(axis=1)[:, None], tokens[sequence_C]),
            changed=follows_CT.argmax(axis=1),
            answer=(follows_CT.cumsum(axis=1) == 2).argmax(axis=1),
        )

    def latents(self, batch: Batch) -> Mapping[str, NDArray[np.generic]]:
        """Return the distribution of the `next token`, (B, T, V), its mode, and the `follower` of a repeated trigger."""
        follower_BT = self._known_followers(batch.tokens)
        next_BTV = self._distribution_after(batch.tokens, follower_BT)
        return {"next token": next_BTV, "likeliest next token": find_modes(next_BTV), "follower": follower_BT}

    def next_distribution(self, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the chain's transition, or the certain follower of a repeated trigger."""
        return self._distribution_after(tokens[:, -1], self._known_followers(tokens)[:, -1])

    def label(self, tokens: NDArray[np.int64]) -> Batch:
        before_BT, after_BT = tokens[:, :-1], tokens[:, 1:]
        right_BT = after_BT.copy()
        for trigger in range(self.triggers):
            here_BT = before_BT == trigger
            follower_B = after_BT[np.arange(len(tokens)), here_BT.argmax(axis=1)]
            right_BT = np.where(here_BT, follower_B[:, None], right_BT)
        for row, before in np.argwhere(right_BT != after_BT)[:1]:
            trigger, right, token = before_BT[row, before], right_BT[row, before], after_BT[row, before]
            raise TaskError(f"bigram: token {before + 1} must be {right}, as after trigger {trigger} before, not {token}")
        for row, before in np.argwhere(self.chain[before_BT, after_BT] == 0)[:1]:
            raise TaskError(f"bigram: token {before + 1} cannot be {after_BT[row, before]} after {before_BT[row, before]}")
        return self.rows(tokens, self._roles_of(tokens))

    def instance_count(self) -> Bound:
        """Count all sequences of tokens, many of which are impossible."""
        return Bound(self.vocabulary**self.length, "at most")

    def _first_followers(self, tokens_BT: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the position of the first follower of each trigger, T if it has none, and the follower, (B, K) each."""
        here_BKT = tokens_BT[:, None] == np.arange(self.triggers)[:, None]
        here_BKT[:, :, -1] = True  # the last token has no follower
        at_BK = here_BKT.argmax(axis=2) + 1
        return at_BK, np.take_along_axis(tokens_BT, np.minimum(at_BK, tokens_BT.shape[1] - 1), axis=1)

    def _known_followers(self, tokens_BT: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the follower of each token that is a repeated trigger, (B, T); -1 for other tokens."""
        at_BK, follower_BK = self._first_followers(tokens_BT)
        trigger_BT = np.minimum(tokens_BT, self.triggers - 1)
        known_BT = np.take_along_axis(at_BK, trigger_BT, axis=1) <= np.arange(tokens_BT.shape[1])
        follower_BT = np.take_along_axis(follower_BK, trigger_BT, axis=1)
        return np.where((tokens_BT < self.triggers) & known_BT, follower_BT, -1)

    def _distribution_after(self, tokens: NDArray[np.int64], followers: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the distribution (..., V) of the token after each of these (...), given their followers, -1 if unknown."""
        distribution = self.chain[tokens]
        distribution[followers >= 0] = np.eye(self.vocabulary)[followers[followers >= 0]]
        return distribution

    def _roles_of(self, tokens_BT: NDArray[np.int64]) -> NDArray[np.int8]:
        """Return the role of each token, (B, T); the first of a sequence is `global`, though nothing predicts it."""
        roles_BT = np.full(tokens_BT.shape, GLOBAL, dtype=np.int8)
        before_BT, after_BT = tokens_BT[:, :-1], roles_BT[:, 1:]
        for trigger in range(self.triggers):
            here_BT = before_BT == trigger
            after_BT[here_BT] = COPY
            row_R = np.flatnonzero(here_BT.any(axis=1))
            after_BT[row_R, here_BT[row_R].argmax(axis=1)] = FIRST
        return roles_BT

    @property
    def _after_others(self) -> NDArray[np.float64]:
        """(V - K,) float64, the share of `global` targets that follow each token that is not a trigger.

        The positions of triggers are independent of their followers, so every position has the stationary distribution.
        """
        others = self._world.stationary_V[self.triggers :]
        return np.asarray(others / others.sum())

    def _effective_number(self) -> float:
        """Return a lower bound on the effective number of sequences: 1 / the probability that two drawn sequences are equal."""
        both_VV = self.chain.copy()
        both_VV[self.triggers :] **= 2  # a bound: two followers of a trigger count as equal
        equal_V = self._world.stationary_V**2
        for _ in range(self.length - 1):
            equal_V = equal_V @ both_VV
            if equal_V.sum() < 1 / _FEWEST:
                return float(1 / equal_V.sum())
        return float(1 / equal_V.sum())

    @property
    def _world(self) -> _World:
        return _world(self.vocabulary, self.triggers, self.trigger_rate, self.alpha)


class _World(NamedTuple):
    """The chain that all sequences share, its stationary distribution, and the alias tables of the first and the next token."""

    chain_VV: NDArray[np.float64]
    stationary_V: NDArray[np.float64]
    first: Aliases
    next: Aliases


@lru_cache(maxsize=16)
def _world(vocabulary: int, triggers: int, rate: float, alpha: float) -> _World:
    """Draw the chain of these settings."""
    others = vocabulary - triggers
    rng = stream(f"bigram/chain/{vocabulary}/{triggers}/{alpha}", seed=0, index=0)
    chain_VV = np.zeros((vocabulary, vocabulary))
    chain_VV[:triggers, triggers:] = 1 / others
    chain_VV[triggers:, :triggers] = rate / triggers
    chain_VV[triggers:, triggers:] = (1 - rate) * rng.dirichlet(np.full(others, alpha), size=others)
    chain_VV = quantise(chain_VV)
    stationary_V = stationary_distribution(chain_VV)
    chain_VV.flags.writeable = stationary_V.flags.writeable = False
    return _World(chain_VV, stationary_V, build_aliases(quantise(stationary_V[None])), build_aliases(chain_VV))
