"""Induction on repeated random segments: after "A B ... A" an induction head predicts "B" (Olsson et al. 2022).

A sequence of 8 tokens:

    c a d | c a d | c a       a segment of 3 distinct tokens, repeated to the sequence's length
    n n n   b k k   k k       n: new, b: boundary (where the second copy begins), k: copy

Shapes: B sequences, T positions, V vocabulary, P positions of a segment or periods, C sequences of a contrast.
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
    """V, number of token ids."""
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
        """Return the segment, padded with -1 to V tokens: a segment is the same instance at any sequence length."""
        segment_BP = tokens[:, : self.vocabulary]
        inside_BP = np.arange(segment_BP.shape[1]) < self._periods(tokens)[:, None]
        padding = self.vocabulary - segment_BP.shape[1]
        return np.pad(np.where(inside_BP, segment_BP, -1), ((0, 0), (0, padding)), constant_values=-1)

    def instance_count(self) -> Bound:
        """Sum the ordered choices of `period` out of `vocabulary` tokens over the periods."""
        low, high = self.period
        return Bound(sum(perm(self.vocabulary, period) for period in range(low, high + 1)))

    def strata(self) -> tuple[Stratum, ...]:
        """Return the periods, which are equally likely; each is a block of equally likely segments."""
        low, high = self.period
        chance = 1 / (high + 1 - low)
        return tuple(
            Stratum(name=f"period {period}", chance=chance, blocks=((capped_permutations(self.vocabulary, period), 1),))
            for period in range(low, high + 1)
        )

    def stratum(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        return self._periods(tokens) - self.period[0]

    def rank(self, tokens: NDArray[np.int64]) -> Ranks | None:
        """Rank segments in lexicographic order: token j is one of the V - j tokens that did not occur before."""
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
        """Return the mean of ln(V - j) - ln(1 - h_j) over j >= 1 for `new`, the mean of -ln h_j for `boundary`, 0 for `copy`.

        The hazard h_j is the probability that the segment ends before position j, given that it did not end earlier.
        """
        number, (low, high) = self.role(role), self.period
        new, boundary = self._nats
        periods = high - np.maximum(np.arange(1, high), low - 1)  # how many make position 1, 2, ... new
        if number == NEW:
            return float((periods * new[1:high]).sum() / max(periods.sum(), 1))
        return {BOUNDARY: float(boundary[low : high + 1].mean()), COPY: 0.0}.get(number)

    def chance(self, role: str) -> float | None:
        """Return 1 / V: without context every token is equally likely."""
        return None if role == PADDING else 1 / self.vocabulary

    def optimum(self, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """Compute the Bayes loss: the segment ends with the hazard h_j of `floor`, or else one of V - j tokens follows."""
        position_T, period_B1 = np.arange(self.length), self._periods(tokens)[:, None]
        new_T, boundary_T = self._nats
        return np.where(position_T < period_B1, new_T, np.where(position_T == period_B1, boundary_T, 0.0))

    def repeats(self) -> tuple[int, int]:
        return self.period

    def contrast(self, batch: Batch) -> Contrast:
        """Change a token in every copy of the segment, never the first of several; the answer is the token in the second copy.

        Segments that have all tokens of the vocabulary are left out.
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
        """Return the `period`, minus the shortest, and the `token to copy` next, from the end of the segment on."""
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
        """Return the certain token to copy; before a token repeats, the first one with the hazard, or else an unseen one."""
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
        """Return the roles (B, T) of sequences with these periods."""
        position_T = np.arange(self.length)
        return np.where(position_T < period_B1, NEW, np.where(position_T == period_B1, BOUNDARY, COPY))

    def _periods(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the period of each sequence, (B,): the position at which its first token comes again; 1 if it does not."""
        again: NDArray[np.int64] = (tokens[:, 1:] == tokens[:, :1]).argmax(axis=1)
        return 1 + again

    @property
    def _hazards(self) -> NDArray[np.float64]:
        """(T,) float64, the probability that the segment ends before a position, given that it did not end earlier."""
        low, high = self.period
        position_T = np.arange(self.length)
        return np.where(position_T < low, 0.0, 1 / np.maximum(high + 1 - position_T, 1))

    @property
    def _nats(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(T,) float64 each, the optimal predictor's loss on a new token, and on the first token of the second copy."""
        position_T, hazard_T = np.arange(self.length), self._hazards
        with np.errstate(divide="ignore"):  # positions past the longest period are never new
            new_T = np.log(np.maximum(self.vocabulary - position_T, 1)) - np.log1p(-hazard_T)
            return new_T, -np.log(hazard_T)


def _first_repeat(tokens: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the position at which the first token of each sequence comes again, (B,); the number of tokens if it does not."""
    again_BT = np.pad(tokens[:, 1:] == tokens[:, :1], ((0, 0), (0, 1)), constant_values=True)
    repeat_B: NDArray[np.int64] = 1 + again_BT.argmax(axis=1)
    return repeat_B


def _occurring(tokens: NDArray[np.int64], vocabulary: int) -> NDArray[np.bool_]:
    """Return whether each token occurs in each sequence, (B, V)."""
    occurring_BV = np.zeros((len(tokens), vocabulary), dtype=np.bool_)
    np.put_along_axis(occurring_BV, tokens, True, axis=1)
    return occurring_BV
