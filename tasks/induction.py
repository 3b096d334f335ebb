"""Induction on repeated random segments: the circuit that copies "B" after "A B ... A" (Olsson et al. 2022).

A sequence, for example:

    c a d | c a d | c a       a segment of 3 distinct tokens, repeated to the sequence's length
    n n n   b k k   k k       n: new, b: boundary (where the second copy begins), k: copy
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import perm
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks.core.base import PADDING, Batch, Bound, Task
from tasks.core.insight import Contrast, choose
from tasks.core.splits import hash_instances
from tasks.core.strata import MOST_RANKED, Ranks, Stratum, capped_permutations, ranked_size
from tasks.errors import TaskError
from tasks.settings import require

NEW, BOUNDARY, COPY = 1, 2, 3
_LETTERS = string.ascii_lowercase + string.ascii_uppercase + string.digits


@dataclass(frozen=True, kw_only=True)
class Induction(Task):
    """A segment of `period` distinct tokens, drawn without replacement, repeated to fill `length`."""

    name: ClassVar[str] = "induction"
    summary: ClassVar[str] = "continue a random segment that repeats: A B ... A -> B"
    source: ClassVar[str] = "Olsson et al. 2022; Gloeckle et al. 2024, section 4.1"
    roles = (PADDING, "new", "boundary", "copy")
    role_labels: ClassVar[Mapping[str, str]] = {
        "new": "first segment",
        "boundary": "first token of the second segment",
        "copy": "copied segment",
    }
    headline: ClassVar[str] = "accuracy/copy"

    vocabulary: int = 32
    """Token ids."""
    length: int = 64
    """T, tokens in a sequence."""
    period: tuple[int, int] = (8, 24)
    """Shortest and longest segment, tokens; uniform between them."""
    test_period: tuple[int, int] | None = None
    """Segment lengths that training never shows, evaluated as the variant `far`; null for none."""

    def check(self) -> None:
        require(self.vocabulary >= 2, "induction.vocabulary", self.vocabulary, "at least 2")
        for setting, period in (("period", self.period), ("test_period", self.test_period)):
            if period is not None:
                low, high = period
                allowed = f"[low, high] with 1 <= low <= high <= vocabulary = {self.vocabulary} (tokens of a segment differ)"
                require(1 <= low <= high <= self.vocabulary, f"induction.{setting}", period, allowed)
                longest = f"at least {2 * high}, two segments of the longest {setting}"
                require(self.length >= 2 * high, "induction.length", self.length, longest)

    @property
    def vocab_size(self) -> int:
        return self.vocabulary

    def word(self, token: int) -> str:
        return _LETTERS[token] if self.vocabulary <= len(_LETTERS) else f"t{token}"

    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        low, high = self.period
        period_B1 = rng.integers(low, high, size=(size, 1), endpoint=True)
        segment_BP = rng.random((size, self.vocabulary)).argsort(axis=1)[:, :high]
        position_T = np.arange(self.length)
        tokens_BT = np.take_along_axis(segment_BP, position_T % period_B1, axis=1)
        return self.rows(tokens_BT, self._roles(period_B1))

    def label(self, tokens: NDArray[np.int64]) -> Batch:
        low, high = self.period
        period_B1 = self._periods(tokens)[:, None]
        again_BT = np.take_along_axis(tokens, np.arange(self.length) % period_B1, axis=1)
        for row, position in np.argwhere(again_BT != tokens)[:1]:
            right, token = again_BT[row, position], tokens[row, position]
            raise TaskError(f"induction: token {position} must be {right}, as {period_B1[row, 0]} before, not {token}")
        segment_BP = np.sort(self.instances(tokens), axis=1)
        distinct = ((segment_BP[:, 1:] != segment_BP[:, :-1]) | (segment_BP[:, 1:] < 0)).all()
        if not (distinct and (low <= period_B1).all() and (period_B1 <= high).all()):
            raise TaskError(f"induction: a sequence repeats a segment of {low} to {high} different tokens")
        return self.rows(tokens, self._roles(period_B1))

    def instances(self, tokens: NDArray[np.int64]) -> NDArray[np.integer]:
        """The segment, padded with -1: the same segment is the same instance at any sequence length."""
        period_B1 = self._periods(tokens)[:, None]
        longest = self.vocabulary
        segment = tokens[:, :longest]
        padded = np.full((len(tokens), longest), -1, dtype=np.int64)
        padded[:, : segment.shape[1]] = np.where(np.arange(segment.shape[1]) < period_B1, segment, -1)
        return padded

    def instance_count(self) -> Bound:
        """Ordered choices of `period` out of `vocabulary` tokens, summed over the periods."""
        low, high = self.period
        return Bound(sum(perm(self.vocabulary, period) for period in range(low, high + 1)))

    def strata(self) -> tuple[Stratum, ...]:
        """The periods, uniform; each is a block of equally likely segments."""
        low, high = self.period
        chance = 1 / (high + 1 - low)
        return tuple(
            Stratum(name=f"period {period}", chance=chance, blocks=((capped_permutations(self.vocabulary, period), 1),))
            for period in range(low, high + 1)
        )

    def stratum(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        return self._periods(tokens) - self.period[0]

    def rank(self, tokens: NDArray[np.int64]) -> Ranks | None:
        """Segments in lexicographic order: token j is one of the V - j that did not occur before."""
        vocabulary, (low, high) = self.vocabulary, self.period
        if capped_permutations(vocabulary, low) > MOST_RANKED:
            return None
        period_B = self._periods(tokens)
        rank_B = np.zeros(len(tokens), dtype=np.int64)
        ranked = [period for period in range(low, high + 1) if capped_permutations(vocabulary, period) <= MOST_RANKED]
        for position in range(ranked[-1]):
            choice_B = tokens[:, position] - (tokens[:, :position] < tokens[:, position : position + 1]).sum(axis=1)
            rank_B = np.where(position < period_B, rank_B * (vocabulary - position) + choice_B, rank_B)
        size_P = np.array([ranked_size(capped_permutations(vocabulary, period)) for period in range(high + 1)])
        block_B2 = np.stack([np.full(len(tokens), vocabulary), period_B], axis=1)
        return Ranks(rank_B, size_P[period_B], hash_instances(block_B2))

    def floor(self, role: str) -> float | None:
        """`new`: mean of ln(V - j) - ln(1 - h_j) over the new tokens at j >= 1; `boundary`: mean of -ln h_j; `copy`: 0.

        h_j is the probability that the segment ends before position j, given that it did not end earlier.
        """
        number, (low, high) = self.role(role), self.period
        new, boundary = self._nats
        periods_longer = high - np.maximum(np.arange(1, high), low - 1)  # for which position 1, 2, ... is new
        if number == NEW:
            return float((periods_longer * new[1:high]).sum() / max(periods_longer.sum(), 1))
        return {BOUNDARY: float(boundary[low : high + 1].mean()), COPY: 0.0}.get(number)

    def chance(self, role: str) -> float | None:
        """1 / V: without context every token is equally likely."""
        return None if role == PADDING else 1 / self.vocabulary

    def optimum(self, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """Bayes: until a token repeats, the segment ends with hazard h, or one of the V - j unseen tokens follows."""
        position_T, period_B1 = np.arange(self.length), self._periods(tokens)[:, None]
        new_T, boundary_T = self._nats
        return np.where(position_T < period_B1, new_T, np.where(position_T == period_B1, boundary_T, 0.0))

    def repeats(self) -> tuple[int, int]:
        return self.period

    def contrast(self, batch: Batch) -> Contrast:
        """Another token in every copy of the segment, not the first of several; decided at the second copy.

        Left out are segments of all tokens of the vocabulary.
        """
        period_B = self._periods(batch.tokens)
        sequence_C = np.flatnonzero(period_B < self.vocabulary)
        tokens_CT, period_C1 = batch.tokens[sequence_C], period_B[sequence_C, None]
        position_T = np.arange(self.length)
        changed_C = choose(tokens_CT, (position_T < period_C1) & (position_T >= np.minimum(1, period_C1 - 1)))
        other_C = choose(tokens_CT, ~_occurring(tokens_CT, self.vocabulary), key=1)
        copies_CT = position_T % period_C1 == changed_C[:, None]
        return Contrast(
            sequence=sequence_C,
            tokens=np.where(copies_CT, other_C[:, None], tokens_CT),
            changed=changed_C,
            answer=changed_C + period_C1[:, 0],
        )

    def latents(self, batch: Batch) -> dict[str, NDArray[np.generic]]:
        """The period, as its place in the range, and the token to copy next: both once the segment has ended."""
        low, high = self.period
        position_T = np.arange(self.length)
        period_B1 = _first_repeat(batch.tokens[:, :high])[:, None]
        known_BT = position_T >= np.minimum(period_B1, high - 1)  # the longest segment ends where no other could
        copied_BT = np.take_along_axis(batch.tokens, np.maximum(position_T + 1 - period_B1, 0), axis=1)
        return {
            "period": np.where(known_BT, np.maximum(period_B1 - low, 0), -1),
            "token to copy": np.where(known_BT, copied_BT, -1),
        }

    def next_distribution(self, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """The token to copy, or before: the first token with the hazard that the segment ends, or an unseen token."""
        size, count = tokens.shape
        period_B = _first_repeat(tokens)
        end_B = np.where(period_B < count, 1.0, self._hazards[count])
        unseen_BV = ~_occurring(tokens, self.vocabulary)
        chances_BV: NDArray[np.float64] = unseen_BV * ((1 - end_B) / np.maximum(unseen_BV.sum(axis=1), 1))[:, None]
        row_B = np.arange(size)
        chances_BV[row_B, tokens[row_B, count % period_B]] += end_B
        return chances_BV

    def variants(self) -> dict[str, Task]:
        return {} if self.test_period is None else {"far": replace(self, period=self.test_period, test_period=None)}

    def _roles(self, period_B1: NDArray[np.int64]) -> NDArray[np.int64]:
        position_T = np.arange(self.length)
        return np.where(position_T < period_B1, NEW, np.where(position_T == period_B1, BOUNDARY, COPY))

    def _periods(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """(B,) the period of each sequence: where its first token comes again."""
        again: NDArray[np.int64] = (tokens[:, 1:] == tokens[:, :1]).argmax(axis=1)
        return 1 + again

    @property
    def _hazards(self) -> NDArray[np.float64]:
        """(T,) the probability that the segment ends before a position, given that it did not end earlier."""
        low, high = self.period
        position_T = np.arange(self.length)
        return np.where(position_T < low, 0.0, 1 / np.maximum(high + 1 - position_T, 1))

    @property
    def _nats(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(T,) each: the loss of the optimal predictor on a new token, and on the token where the segment begins again."""
        position_T, hazard_T = np.arange(self.length), self._hazards
        with np.errstate(divide="ignore"):  # positions past the longest period are never new
            new_T = np.log(np.maximum(self.vocabulary - position_T, 1)) - np.log1p(-hazard_T)
            return new_T, -np.log(hazard_T)


def _first_repeat(tokens: NDArray[np.int64]) -> NDArray[np.int64]:
    """(B,) where the first token of each sequence comes again; the number of tokens where it does not."""
    again_BT = np.pad(tokens[:, 1:] == tokens[:, :1], ((0, 0), (0, 1)), constant_values=True)
    repeat_B: NDArray[np.int64] = 1 + again_BT.argmax(axis=1)
    return repeat_B


def _occurring(tokens: NDArray[np.int64], vocabulary: int) -> NDArray[np.bool_]:
    """(B, V) whether each token occurs in each sequence."""
    occurring_BV = np.zeros((len(tokens), vocabulary), dtype=np.bool_)
    np.put_along_axis(occurring_BV, tokens, True, axis=1)
    return occurring_BV
