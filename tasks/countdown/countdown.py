"""Countdown: derive a target from given numbers by arithmetic (Gandhi et al. 2024, Stream of Search).

A sequence of three numbers, their target, and one of its derivations:

    3 8 5 19        8 * 3 = 24   24 - 5 = 19

Each equation replaces two of the remaining numbers by their sum, difference, product or ratio, with the larger operand first.

The numbers are uniform, the derivation is uniform over all that are possible, and the target is its last result. So given the
target, the derivation is uniform over those that reach it. Several may do so, and none is better than the others: answers are
not compared with the data's (`determined` is False) but judged, and `sampled/valid` is the share of sampled answers that are
right. Floors and the distribution of every token are exact, since all derivations are enumerated.

Shapes: B sequences, T positions, K given numbers, D derivations, A tokens of an answer, C = 1 + A tokens after the given
numbers, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.core.base import PADDING, Batch, Bound, Task
from tasks.core.insight import Contrast, choose
from tasks.core.splits import MOST_LISTED
from tasks.countdown.derivations import (
    EQUALS,
    OPERATORS,
    TOKENS,
    Equations,
    Every,
    Ints,
    calculate,
    derive,
    enumerate_derivations,
)
from tasks.errors import TaskError
from tasks.settings import require


@dataclass(frozen=True, kw_only=True)
class Countdown(Task):
    """Given numbers and a target, then equations that use every number once and end with the target."""

    name: ClassVar[str] = "countdown"
    summary: ClassVar[str] = "derive a target from given numbers by arithmetic, with each number used once"
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
    """K, number of given numbers; there are K - 1 equations."""
    largest: int = 12
    """Largest given number."""
    limit: int = 99
    """Largest number in an equation, and so the largest target."""
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
        rank_B = (rng.random(size) * possible_BD.sum(axis=1)).astype(np.int64)  # among the possible derivations
        chosen_B = (possible_BD.cumsum(axis=1) > rank_B[:, None]).argmax(axis=1)
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
        """Return the role of each position."""
        names = ["number"] * self.numbers + ["target"]
        for equation in range(1, self.numbers):
            operand = f"operand_{equation}"
            names += [operand, f"operator_{equation}", operand, "equals", f"result_{equation}"]
        role_T = np.array([self.roles.index(name) for name in names[: tokens.shape[1]]])
        return np.broadcast_to(role_T, tokens.shape)

    def instances(self, tokens: Ints) -> NDArray[np.integer]:
        """Return the given numbers in increasing order, and the target."""
        return np.concatenate([np.sort(tokens[:, : self.numbers], axis=1), tokens[:, [self.numbers]]], axis=1)

    def instance_count(self) -> Bound | None:
        """Count the enumerated instances; None where there are too many derivations."""
        every = self._every
        return None if every is None else Bound(len(every.instances))

    def every_instance(self) -> NDArray[np.integer] | None:
        every = self._every
        return None if every is None or len(every.instances) > MOST_LISTED else every.instances

    def floor(self, role: str) -> float | None:
        """Average the entropies over all derivations.

        Where these are too many, only `number`, `equals` and results have a floor.
        """
        every, is_target_T = self._every, self._targets(role)
        if every is not None and is_target_T.any():
            return float(every.entropy_T[is_target_T].mean())
        known = {"number": float(np.log(self.largest)), "equals": 0.0} | {f"result_{j}": 0.0 for j in range(1, self.numbers)}
        return known.get(role)

    def chance(self, role: str) -> float | None:
        """Return the share of the most frequent token over all derivations.

        Where these are too many, it is known for `number` and `equals` alone.
        """
        every, is_target_T = self._every, self._targets(role)
        if every is not None and is_target_T.any():
            return min(1.0, float(every.share_TV[is_target_T].mean(axis=0).max()))
        return {"number": 1 / self.largest, "equals": 1.0}.get(role)

    def optimum(self, tokens: Ints) -> NDArray[np.float64]:
        """Compute the loss by enumeration: numbers are uniform, and later tokens have their shares of the derivations so far.

        The loss of a wrong token is infinite.
        """
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
        """Return uniform given numbers, and then the shares of the derivations that agree with the tokens so far."""
        (size, count), token_V = tokens.shape, np.arange(self.vocab_size)
        if count < self.numbers:
            return np.broadcast_to(((token_V >= 1) & (token_V <= self.largest)) / self.largest, (size, self.vocab_size))
        after_BDC, left_BD = self._continue(tokens)
        left_BD &= (after_BDC[:, :, : count - self.numbers] == tokens[:, None, self.numbers :]).all(axis=2)
        count_BV = np.zeros((size, self.vocab_size))
        row_N, derivation_N = np.nonzero(left_BD)
        np.add.at(count_BV, (row_N, after_BDC[row_N, derivation_N, count - self.numbers]), 1)
        return np.asarray(count_BV / count_BV.sum(axis=1, keepdims=True))

    def latents(self, batch: Batch) -> Mapping[str, NDArray[np.generic]]:
        """Return the number of `derivations` that agree with the tokens so far, and their `next result`, from the target on.

        The result is -1 where it differs between the derivations.
        """
        after_BDC, left_BD = self._continue(batch.tokens)
        count_BT, result_BT = np.full(batch.tokens.shape, -1), np.full(batch.tokens.shape, -1)
        for column, token_B in enumerate(batch.tokens[:, self.numbers :].T):
            left_BD &= after_BDC[:, :, column] == token_B[:, None]
            result_BD = after_BDC[:, :, TOKENS * min(column // TOKENS + 1, self.numbers - 1)]
            low_B = np.where(left_BD, result_BD, self.limit + 1).min(axis=1)
            high_B = np.where(left_BD, result_BD, 0).max(axis=1)
            count_BT[:, self.numbers + column] = left_BD.sum(axis=1)
            result_BT[:, self.numbers + column] = np.where(low_B == high_B, low_B, -1)
        return {"derivations": count_BT, "next result": result_BT}

    def contrast(self, batch: Batch) -> Contrast:
        """Change the target to one whose derivations differ early from the answer, with one of its derivations.

        This is one of those that differ last; where they differ, the original token leads only to the original target.
        Sequences whose numbers have only one target are left out.
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
        after_CA = after_BDC[sequence_C, choose(originals_CT, allowed_CD, key=1)]
        return Contrast(
            sequence=sequence_C,
            tokens=np.concatenate([originals_CT[:, : self.numbers], after_CA], axis=1),
            changed=np.full(len(sequence_C), self.numbers),
            answer=self.sampled_from + least_B1[sequence_C, 0],
        )

    @property
    def sampled_from(self) -> int:
        """The position of the answer."""
        return self.numbers + 1

    def judge(self, tokens: Ints) -> dict[str, float]:
        """Compute the share of answers that are `legal`, and of those that are `valid`: legal, and ending with the target.

        In a legal answer each equation is right and takes two of the remaining numbers, in either order.
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
        """Return sequences with their roles and answers."""
        return self.rows(tokens, self.roles_of(tokens), np.tile([self.sampled_from, self.length], (len(tokens), 1)))

    def _targets(self, role: str) -> NDArray[np.bool_]:
        """Return whether each position is a target of the role, (T,)."""
        is_target_T = self.roles_of(np.zeros((1, self.length), dtype=np.int64))[0] == self.role(role)
        is_target_T[0] = False  # nothing predicts a sequence's first token
        return np.asarray(is_target_T)

    @property
    def _every(self) -> Every | None:
        """Facts about all derivations of all lists of given numbers; None if these are too many."""
        return enumerate_derivations(self.numbers, self.largest, self.limit)

    def _continue(self, tokens: Ints) -> tuple[Equations, NDArray[np.bool_]]:
        """List all continuations of the given numbers, a target and equations, (B, D, C).

        Returns:
            The continuations, and whether each is possible, (B, D).
        """
        given_BK = tokens[:, : self.numbers]
        equations_BDA = derive(np.where(given_BK > self.limit, 0, given_BK), self.limit)
        return np.concatenate([equations_BDA[:, :, -1:], equations_BDA], axis=2), equations_BDA[:, :, -1] > 0
