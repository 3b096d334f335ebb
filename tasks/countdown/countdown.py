"""Countdown: combine all of some numbers by arithmetic so that the target comes out (Gandhi et al. 2024, Stream of Search).

Three numbers and a target, and then one of the derivations of the target, for example:

    3 8 5 19        8 * 3 = 24   24 - 5 = 19

Each equation replaces two of the numbers that are left by their sum, difference, product or ratio, the larger operand first.

The numbers are uniform, the derivation is uniform over all that are possible, and the target is its last result. So given the
target, the derivation is uniform over those that reach it. There may be several, and none is better than the others: answers
are not compared with that of the data (`determined` is False) but judged, and `sampled/valid` is the share of sampled answers
that are right. Floors and the distribution of every token are exact, by going through all derivations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement
from math import comb, factorial, prod
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.core.base import PADDING, Batch, Bound, Task
from tasks.core.insight import Contrast, choose
from tasks.core.splits import MOST_LISTED
from tasks.countdown.derivations import EQUALS, OPERATORS, TOKENS, Equations, Ints, calculate, derive
from tasks.errors import TaskError
from tasks.settings import require

_MOST_DERIVATIONS = 400_000
"""Most derivations of all lists of numbers for which floors and instances are computed."""


@dataclass(frozen=True, kw_only=True)
class Countdown(Task):
    """`numbers` numbers and a target, then equations that use every number once and end with the target."""

    name: ClassVar[str] = "countdown"
    summary: ClassVar[str] = "combine all of some numbers by arithmetic so that the target comes out"
    source: ClassVar[str] = "Gandhi et al. 2024 (Stream of Search); as a test of prediction heads in arXiv 2604.11912"
    role_labels: ClassVar[Mapping[str, str]] = {
        "number": "given numbers",
        "target": "target",
        "operand_#": "operands of equation #",
        "operator_#": "operator of equation #",
        "equals": "equals signs",
        "result_#": "result of equation #",
    }
    headline: ClassVar[str] = "sampled/valid"
    has_answer: ClassVar[bool] = True
    determined: ClassVar[bool] = False

    numbers: int = 3
    """K, given numbers; there is one equation fewer."""
    largest: int = 12
    """Largest given number."""
    limit: int = 99
    """Largest number in an equation, the target included."""
    loss_on: Literal["all", "answer"] = "answer"

    def check(self) -> None:
        require(2 <= self.numbers <= 4, "countdown.numbers", self.numbers, "between 2 and 4")
        require(self.largest >= 2, "countdown.largest", self.largest, "at least 2")
        allowed = f"between {self.largest}, the largest given number, and 1000"
        require(self.largest <= self.limit <= 1000, "countdown.limit", self.limit, allowed)

    @property
    def roles(self) -> tuple[str, ...]:
        equations = range(1, self.numbers)
        numbered = (f"{part}_{equation}" for equation in equations for part in ("operand", "operator", "result"))
        return (PADDING, "number", "target", "equals", *numbered)

    @property
    def vocab_size(self) -> int:
        return 1 + self.limit + len(OPERATORS)

    @property
    def length(self) -> int:
        return self.sampled_from + TOKENS * (self.numbers - 1)

    def word(self, token: int) -> str:
        return "=" if token == EQUALS else str(token) if token <= self.limit else OPERATORS[token - self.limit - 1]

    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        numbers_BK = rng.integers(1, self.largest + 1, size=(size, self.numbers))
        equations_BDA = derive(numbers_BK, self.limit)
        possible_BD = equations_BDA[:, :, -1] > 0
        place_B = (rng.random(size) * possible_BD.sum(axis=1)).astype(np.int64)
        chosen_B = (possible_BD.cumsum(axis=1) > place_B[:, None]).argmax(axis=1)
        answer_BA = equations_BDA[np.arange(size), chosen_B]
        return self._with_roles(np.concatenate([numbers_BK, answer_BA[:, -1:], answer_BA], axis=1))

    def label(self, tokens: Ints) -> Batch:
        given_BK = tokens[:, : self.numbers]
        if not ((given_BK >= 1) & (given_BK <= self.largest)).all():
            raise TaskError(f"countdown: a prompt is {self.numbers} numbers from 1 to {self.largest}, and then the target")
        for row in np.flatnonzero(~np.isfinite(self.optimum(tokens)).all(axis=1))[:1]:
            numbers, target, answer = np.split(tokens[row], [self.numbers, self.sampled_from])
            given, stated = (" ".join(map(self.word, part.tolist())) for part in (numbers, answer))
            what = "no derivation, with the larger operand first and"
            raise TaskError(f"countdown: {stated} is {what} numbers up to {self.limit}, of {target[0]} from {given}")
        return self._with_roles(tokens)

    def roles_of(self, tokens: Ints) -> Ints:
        """By position."""
        names = ["number"] * self.numbers + ["target"]
        for equation in range(1, self.numbers):
            operand = f"operand_{equation}"
            names += [operand, f"operator_{equation}", operand, "equals", f"result_{equation}"]
        numbers = [self.roles.index(name) for name in names[: tokens.shape[1]]]
        return np.broadcast_to(np.array(numbers), tokens.shape)

    def instances(self, tokens: Ints) -> NDArray[np.integer]:
        """The numbers in any order, and the target."""
        return np.concatenate([np.sort(tokens[:, : self.numbers], axis=1), tokens[:, [self.numbers]]], axis=1)

    def instance_count(self) -> Bound | None:
        """Exact, by listing them, where there are few derivations; else unknown."""
        every = _enumerate(self.numbers, self.largest, self.limit)
        return None if every is None else Bound(len(every.instances))

    def every_instance(self) -> NDArray[np.integer] | None:
        every = _enumerate(self.numbers, self.largest, self.limit)
        return None if every is None or len(every.instances) > MOST_LISTED else every.instances

    def floor(self, role: str) -> float | None:
        """Exact over all derivations, where these are few; else known for numbers alone and, 0, for `equals` and results."""
        every, own_T = _enumerate(self.numbers, self.largest, self.limit), self._positions(role)
        if every is not None and own_T.any():
            return float(every.entropy_T[own_T].mean())
        known = {"number": float(np.log(self.largest)), "equals": 0.0} | {f"result_{j}": 0.0 for j in range(1, self.numbers)}
        return known.get(role)

    def chance(self, role: str) -> float | None:
        """The share of the most frequent token, exact over all derivations; else known for numbers and `equals` alone."""
        every, own_T = _enumerate(self.numbers, self.largest, self.limit), self._positions(role)
        if every is not None and own_T.any():
            return min(1.0, float(every.share_TV[own_T].mean(axis=0).max()))
        return {"number": 1 / self.largest, "equals": 1.0}.get(role)

    def optimum(self, tokens: Ints) -> NDArray[np.float64]:
        """Numbers are uniform, and the rest by the share of the derivations so far that agree; infinite for wrong tokens."""
        chances_BT = np.full(tokens.shape, 1 / self.largest)
        after_BDC, left_BD = self._continue(tokens)
        for column, token_B in enumerate(tokens[:, self.numbers :].T):
            agree_BD = left_BD & (after_BDC[:, :, column] == token_B[:, None])
            chances_BT[:, self.numbers + column] = agree_BD.sum(axis=1) / np.maximum(left_BD.sum(axis=1), 1)
            left_BD = agree_BD
        with np.errstate(divide="ignore"):
            losses: NDArray[np.float64] = -np.log(chances_BT)
        return losses

    def next_distribution(self, tokens: Ints) -> NDArray[np.float64]:
        """Uniform over the given numbers; then uniform over the derivations that agree with the tokens so far."""
        (size, count), token_V = tokens.shape, np.arange(self.vocab_size)
        if count < self.numbers:
            return np.broadcast_to(((token_V >= 1) & (token_V <= self.largest)) / self.largest, (size, self.vocab_size))
        after_BDC, left_BD = self._continue(tokens)
        left_BD &= (after_BDC[:, :, : count - self.numbers] == tokens[:, None, self.numbers :]).all(axis=2)
        times_BV = np.zeros((size, self.vocab_size))
        row_N, derivation_N = np.nonzero(left_BD)
        np.add.at(times_BV, (row_N, after_BDC[row_N, derivation_N, count - self.numbers]), 1)
        return np.asarray(times_BV / times_BV.sum(axis=1, keepdims=True))

    def latents(self, batch: Batch) -> Mapping[str, NDArray[np.generic]]:
        """From the target on: how many `derivations` agree with the tokens so far, and the `next result` if they share it."""
        after_BDC, left_BD = self._continue(batch.tokens)
        count_BT, result_BT = np.full(batch.tokens.shape, -1), np.full(batch.tokens.shape, -1)
        for column, token_B in enumerate(batch.tokens[:, self.numbers :].T):
            left_BD &= after_BDC[:, :, column] == token_B[:, None]
            result_BD = after_BDC[:, :, TOKENS * min(column // TOKENS + 1, self.numbers - 1)]
            low_B, high_B = (
                np.where(left_BD, result_BD, self.limit + 1).min(axis=1),
                np.where(left_BD, result_BD, 0).max(axis=1),
            )
            count_BT[:, self.numbers + column] = left_BD.sum(axis=1)
            result_BT[:, self.numbers + column] = np.where(low_B == high_B, low_B, -1)
        return {"derivations": count_BT, "next result": result_BT}

    def contrast(self, batch: Batch) -> Contrast:
        """Another target of the same numbers, one whose derivations part early from the answer.

        Its derivation is one of those that part from the answer last; where they part, the original token reaches only the
        original target. Left out are sequences whose numbers have one target.
        """
        after_BDC, possible_BD = self._continue(batch.tokens)
        target_BD, row_B = after_BDC[:, :, 0], np.arange(len(batch))
        same_BDA = after_BDC[:, :, 1:] == batch.tokens[:, None, self.sampled_from :]
        common_BD = np.where(possible_BD, same_BDA.cumprod(axis=2).sum(axis=2), -1)
        most_BV = np.full((len(batch), self.vocab_size), -1)
        np.maximum.at(most_BV, (row_B[:, None], target_BD), common_BD)
        other_BV = (most_BV >= 0) & (np.arange(self.vocab_size) != batch.tokens[:, self.numbers, None])
        least_B1 = np.where(other_BV, most_BV, self.length).min(axis=1)[:, None]
        sequence_C = np.flatnonzero(other_BV.any(axis=1))
        originals_CT = batch.tokens[sequence_C]
        target_C = choose(originals_CT, (other_BV & (most_BV == least_B1))[sequence_C])
        allowed_CD = (target_BD[sequence_C] == target_C[:, None]) & (common_BD == least_B1)[sequence_C]
        chosen_CC = after_BDC[sequence_C, choose(originals_CT, allowed_CD, key=1)]
        return Contrast(
            sequence=sequence_C,
            tokens=np.concatenate([originals_CT[:, : self.numbers], chosen_CC], axis=1),
            changed=np.full(len(sequence_C), self.numbers),
            answer=self.sampled_from + least_B1[sequence_C, 0],
        )

    @property
    def sampled_from(self) -> int:
        """The position of the answer."""
        return self.numbers + 1

    def judge(self, tokens: Ints) -> dict[str, float]:
        """Compute the share of answers that are `legal`, and of those that are `valid`, which also reach the target.

        In a legal answer each equation is right, in either order of the operands, and takes two of the numbers that are left.
        """
        row_B = np.arange(len(tokens))
        left_BV = (tokens[:, : self.numbers, None] == np.arange(self.vocab_size)).sum(axis=1)
        legal_B = np.ones(len(tokens), dtype=np.bool_)
        for begin in range(self.sampled_from, self.length, TOKENS):
            a_B, operator_B, b_B, equals_B, result_B = tokens[:, begin : begin + TOKENS].T
            for operand_B in (a_B, b_B):
                legal_B &= left_BV[row_B, operand_B] > 0
                left_BV[row_B, operand_B] -= 1
            number_B = operator_B - self.limit - 1
            right_B = calculate(a_B, b_B, self.limit)[row_B, np.maximum(number_B, 0)]
            legal_B &= (number_B >= 0) & (equals_B == EQUALS) & (result_B == right_B) & (right_B > 0)
            left_BV[row_B, result_B] += 1
        valid_B = legal_B & (tokens[:, -1] == tokens[:, self.numbers])
        return {"valid": float(valid_B.mean()), "legal": float(legal_B.mean())}

    def _with_roles(self, tokens: Ints) -> Batch:
        return self.rows(tokens, self.roles_of(tokens), np.tile([self.sampled_from, self.length], (len(tokens), 1)))

    def _positions(self, role: str) -> NDArray[np.bool_]:
        """(T,) whether each position has the role and is a target."""
        own_T = self.roles_of(np.zeros((1, self.length), dtype=np.int64))[0] == self.role(role)
        own_T[0] = False
        return np.asarray(own_T)

    def _continue(self, tokens: Ints) -> tuple[Equations, NDArray[np.bool_]]:
        """All continuations (B, D, 1 + A) of the given numbers, target and equations; and whether each is possible, (B, D)."""
        given_BK = tokens[:, : self.numbers]
        equations_BDA = derive(np.where(given_BK > self.limit, 0, given_BK), self.limit)
        return np.concatenate([equations_BDA[:, :, -1:], equations_BDA], axis=2), equations_BDA[:, :, -1] > 0


class _Every(NamedTuple):
    """All derivations of all given numbers.

    Attributes:
        instances: (I, K + 1) each choice of numbers, in order, with each of its targets.
        entropy_T: Entropy of each token given those before it, nats.
        share_TV: The probability of each token at each position.
    """

    instances: Ints
    entropy_T: NDArray[np.float64]
    share_TV: NDArray[np.float64]


@lru_cache(maxsize=16)
def _enumerate(count: int, largest: int, limit: int) -> _Every | None:
    """Go through all derivations; None if there are more than `_MOST_DERIVATIONS`."""
    derivations = prod(comb(left, 2) * len(OPERATORS) for left in range(2, count + 1))
    if comb(largest + count - 1, count) * derivations > _MOST_DERIVATIONS:
        return None
    given_MK = np.array(list(combinations_with_replacement(range(1, largest + 1), count)))
    orders_M = [factorial(count) // prod(map(factorial, np.unique(row, return_counts=True)[1].tolist())) for row in given_MK]
    equations_MDA = derive(given_MK, limit)
    possible_MD = equations_MDA[:, :, -1] > 0
    chance_MD = possible_MD * (np.array(orders_M) / largest**count / possible_MD.sum(axis=1))[:, None]
    group_N, chance_N = np.nonzero(possible_MD)[0], chance_MD[possible_MD]
    columns = [*given_MK[group_N].T, equations_MDA[possible_MD][:, -1], *equations_MDA[possible_MD].T]
    nats = [_entropy(group_N, chance_N)]
    for column_N in columns[count:]:
        group_N = np.unique(group_N * (limit + 6) + column_N, return_inverse=True)[1].ravel()
        nats.append(_entropy(group_N, chance_N))
    shares = [np.bincount(column_N, weights=chance_N, minlength=limit + 5) for column_N in columns]
    share_TV: NDArray[np.float64] = np.stack(shares)
    share_TV[:count] = share_TV[:count].mean(axis=0)  # in any order
    return _Every(
        instances=np.unique(np.stack(columns[: count + 1], axis=1), axis=0),
        entropy_T=np.concatenate([np.full(count, np.log(largest)), np.diff(nats)]),
        share_TV=share_TV,
    )


def _entropy(group_N: Ints, chance_N: NDArray[np.float64]) -> float:
    """The entropy of a partition into groups, nats."""
    chance_G = np.bincount(group_N, weights=chance_N)
    return float(-(chance_G * np.log(chance_G)).sum())
