"""Arithmetic modulo a prime, the task of grokking (Power et al. 2022): a few thousand facts, some of them held out.

A sequence modulo 97, with each number as one token, or `spelled` as its digits:

    41 * 7 = 93        4 1 * 0 7 = 9 3

Each training sequence is one of a fixed share of all facts. The accuracy on the other facts can jump long after the model has
learnt these (grokking).

Shapes: B sequences, T positions, D tokens of a number, S symbols, C candidate changes, or sequences of a contrast.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.core.base import PADDING, Batch, Bound, Task
from tasks.core.insight import Contrast, choose
from tasks.core.splits import SPLITS, partition_by_train_share
from tasks.core.strata import Stratum
from tasks.errors import TaskError, shown
from tasks.settings import is_prime, number_below, require

OPERAND, SIGN, ANSWER = 1, 2, 3


@dataclass(frozen=True, kw_only=True)
class Modular(Task):
    """a o b = c modulo a prime; the pairs (a, b) are divided exactly between training, validation and test."""

    name: ClassVar[str] = "modular"
    summary: ClassVar[str] = "calculate modulo a prime from a share of all facts"
    source: ClassVar[str] = "Power et al. 2022 (grokking)"
    roles = (PADDING, "operand", "sign", "answer")
    role_labels: ClassVar[Mapping[str, str]] = {
        "operand": "operands",
        "sign": "operation and equals signs",
        "answer": "answer",
    }
    has_answer: ClassVar[bool] = True
    splits_itself: ClassVar[bool] = True

    p: int = 97
    """Prime modulus."""
    operation: Literal["+", "-", "*", "/", "x2+y2", "x3+xy"] = "+"
    """The operation on a and b; for `/`, b is never 0."""
    train_share: float = 0.5
    """Share of all pairs in training; validation and test halve the rest."""
    spelled: bool = False
    """Whether numbers are written as decimal digits with leading zeros, and not as one token each."""
    loss_on: Literal["all", "answer"] = "answer"

    def check(self) -> None:
        require(3 <= self.p <= 1009 and is_prime(self.p), "modular.p", self.p, "a prime between 3 and 1009")
        require(0 < self.train_share < 1, "modular.train_share", self.train_share, "between 0 and 1, both excluded")
        self.pairs("train")  # rejects a share that leaves a split empty

    @property
    def headline(self) -> str:
        """`exact` if answers have several tokens, else the accuracy on the answer."""
        return "exact" if self.spelled else "accuracy/answer"

    @property
    def digits(self) -> int:
        """D, tokens of a number."""
        return len(str(self.p - 1)) if self.spelled else 1

    @property
    def _symbols(self) -> int:
        """S, the number of symbols of which numbers consist; the ids of the operation's sign and `=` follow theirs."""
        return 10 if self.spelled else self.p

    @property
    def vocab_size(self) -> int:
        return self._symbols + 2

    @property
    def longest_answer(self) -> int:
        return self.digits

    @property
    def length(self) -> int:
        return 3 * self.digits + 2

    def word(self, token: int) -> str:
        return str(token) if token < self._symbols else (self.operation, "=")[token - self._symbols]

    def pairs(self, split: str) -> NDArray[np.int64]:
        """Return the pairs (a, b) of a split, each as a p + b."""
        return _pairs(self.p, self.operation == "/", self.train_share)[SPLITS.index(split)]

    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        mine = self.pairs(split)
        a, b = np.divmod(mine[rng.integers(len(mine), size=size)], self.p)
        return self._build(a, b)

    def result(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
        """Compute a o b modulo p, element by element."""
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
        """Return the pair (a, b)."""
        return np.stack(self._read(tokens), axis=1)

    def instance_count(self) -> Bound:
        """Count all pairs; for `/` those with b other than 0."""
        return Bound(self.p * (self.p - (self.operation == "/")))

    def strata(self) -> tuple[Stratum, ...]:
        train, validation, test = (len(self.pairs(split)) for split in SPLITS)
        return (Stratum(name="all", chance=1.0, split=(train, validation, test)),)

    def floor(self, role: str) -> float | None:
        """Return 0 for `answer` and `sign`, and None for `operand`: the choice of training facts has no distribution."""
        return 0.0 if self.role(role) in (SIGN, ANSWER) else None

    def chance(self, role: str) -> float | None:
        """Return the share of the most frequent answer among all facts; for spelled answers, the mean over their digits."""
        return _most_frequent_share(self) if self.role(role) == ANSWER else None

    def solve(self, prompt: NDArray[np.int64]) -> NDArray[np.int64]:
        self.check_ids(prompt)
        digits, sign = self.digits, self._symbols
        if len(prompt) == 2 * digits + 2 and prompt[digits] == sign and prompt[-1] == sign + 1:
            numbers = np.delete(prompt, [digits, 2 * digits + 1])
            a, b = self._read(prompt[None])
            if numbers.max() < sign and max(a, b) < self.p and not (self.operation == "/" and b == 0):
                answer: NDArray[np.int64] = self._numerals(self.result(a, b))[0]
                return answer
        divisor = " and b not 0" if self.operation == "/" else ""
        words = " ".join(map(str, prompt))
        raise TaskError(f"modular: {words} is not a {self.operation} b = with numbers below {self.p}{divisor}")

    def contrast(self, batch: Batch) -> Contrast:
        """Change the last token of an operand. Sequences whose answer this cannot change, as that of 0 * 0, are left out."""
        numbers_2B1 = np.stack(self._read(batch.tokens))[:, :, None]
        last_2B1 = numbers_2B1 % self._symbols
        others_2BS = numbers_2B1 - last_2B1 + (last_2B1 + np.arange(1, self._symbols)) % self._symbols
        same_2BS = np.broadcast_to(numbers_2B1, others_2BS.shape)
        a_BC, b_BC = np.concatenate([[others_2BS[0], same_2BS[1]], [same_2BS[0], others_2BS[1]]], axis=2)
        possible_BC = (np.maximum(a_BC, b_BC) < self.p) & ~((self.operation == "/") & (b_BC == 0))
        allowed_BC = possible_BC & (self.result(a_BC % self.p, b_BC % self.p) != self.result(*numbers_2B1))
        sequence_C = np.flatnonzero(allowed_BC.any(axis=1))
        chosen = sequence_C, choose(batch.tokens[sequence_C], allowed_BC[sequence_C])
        tokens_CT = self._build(a_BC[chosen], b_BC[chosen]).tokens
        differs_CT, begin = tokens_CT != batch.tokens[sequence_C], 2 * self.digits + 2
        changed_C, answer_C = differs_CT.argmax(axis=1), begin + differs_CT[:, begin:].argmax(axis=1)
        return Contrast(sequence=sequence_C, tokens=tokens_CT, changed=changed_C, answer=answer_C)

    def latents(self, batch: Batch) -> Mapping[str, NDArray[np.generic]]:
        """Return the `first operand` and the `result`, each from the token on that determines it."""
        a, b = (number % self.p for number in self._read(batch.tokens))
        numbers = {"first operand": (a, self.digits - 1), "result": (self.result(a, b), 2 * self.digits)}
        position = np.arange(self.length)
        return {name: np.where(position >= begin, number[:, None], -1) for name, (number, begin) in numbers.items()}

    def next_distribution(self, tokens: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Return the certain next token once the operands are known, and None before: the choice of facts is not random."""
        if tokens.shape[1] < 2 * self.digits + 1:
            return None
        return np.eye(self.vocab_size)[self._build(*self._read(tokens)).tokens[:, tokens.shape[1]]]

    def consistent(self, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each token of the answer is right, which depends on the operands alone."""
        return np.asarray(tokens == self._build(*self._read(tokens)).tokens)

    def format(self, row: Batch) -> str:
        """Write `41 * 7 = 93`, or `41 * 07 = 93` where numbers are spelled."""
        digits, words = self.digits, list(map(self.word, row.tokens[0].tolist()))
        ends = np.cumsum([0, digits, 1, digits, 1, digits]).tolist()
        return " ".join("".join(words[begin:end]) for begin, end in itertools.pairwise(ends))

    def parse(self, line: str) -> Batch:
        words = line.split()
        numbers = [number for word in words[::2] if (number := number_below(word, self.p)) is not None]
        if len(words) != 5 or len(numbers) != 3 or words[1] != self.operation or words[3] != "=":
            example = f"'3 {self.operation} 4 = 7', numbers below {self.p}"
            raise TaskError(f"modular: {shown(line)} is not a line like {example}")
        a, b, stated = numbers
        require(not (self.operation == "/" and b == 0), "modular: the divisor", b, "other than 0")
        row = self._build(np.array([a]), np.array([b]))
        right = row.tokens[0, -self.digits :] @ self._place_values
        require(stated == right, "modular: the answer", stated, str(right))
        return row

    def _build(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> Batch:
        """Build the sequences of the pairs (a, b), (B,) each."""
        size, digits = len(a), self.digits
        sign, equals = (np.full((size, 1), self._symbols + extra) for extra in range(2))
        answer = self._numerals(self.result(a, b))
        tokens = np.concatenate([self._numerals(a), sign, self._numerals(b), equals, answer], axis=1)
        roles_T = np.repeat([OPERAND, SIGN, OPERAND, SIGN, ANSWER], [digits, 1, digits, 1, digits])
        answer_B2 = np.broadcast_to([2 * digits + 2, self.length], (size, 2))
        return self.rows(tokens, np.broadcast_to(roles_T, tokens.shape), answer_B2)

    @property
    def _place_values(self) -> NDArray[np.int64]:
        """(D,) int64, the place value of each token of a number."""
        return np.asarray(10 ** np.arange(self.digits - 1, -1, -1))

    def _numerals(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return numbers (B,) as tokens (B, D)."""
        return values[:, None] // self._place_values % 10 if self.spelled else values[:, None]

    def _read(self, tokens: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Read the two operands (B,) of sequences or prompts."""
        digits = self.digits
        return tokens[:, :digits] @ self._place_values, tokens[:, digits + 1 : 2 * digits + 1] @ self._place_values


@lru_cache(maxsize=16)
def _pairs(p: int, divided: bool, train_share: float) -> tuple[NDArray[np.int64], ...]:
    """Return the pairs a p + b of each split."""
    grid = np.arange(p * p)
    if divided:
        grid = grid[grid % p != 0]
    key = f"modular/{p}/{divided}"
    splits = partition_by_train_share(len(grid), train_share, key=key, setting="modular.train_share", what="pairs")
    return tuple(grid[splits == number] for number in range(3))


@lru_cache(maxsize=16)
def _most_frequent_share(task: Modular) -> float:
    """Return the share of the most frequent answer token among all pairs, averaged over the tokens of an answer."""
    a, b = np.divmod(np.concatenate([task.pairs(split) for split in SPLITS]), task.p)
    answers = task._numerals(task.result(a, b))
    return float(np.mean([np.bincount(column).max() / len(column) for column in answers.T]))


@lru_cache(maxsize=16)
def _inverses(p: int) -> NDArray[np.int64]:
    """Return the multiplicative inverse of each number modulo a prime p, and 0 for 0."""
    return np.array([0, *(pow(b, -1, p) for b in range(1, p))])
