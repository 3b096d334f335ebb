"""Addition of two numbers, digit by digit; the role of each digit of the sum is the length of its carry chain.

A sequence with operands of three digits, in forward order (in reversed order the sum is 2 0 3 0, its units first):

    1 4 7 + 1 5 5 = 0 3 0 2 end         o: operand, s: sign, e: end
    o o o s o o o s 1 2 1 0 e           0, 1, 2: carry_0, carry_1, carry_2

The units depend on no lower place: carry_0. Any other digit depends on the place below it, carry_1, and on one more place for
each successive lower place whose digits sum to nine, since such a place passes on the carry that reaches it.

Shapes: B sequences, T positions, P places (lowest first), V vocabulary, C columns of digits and signs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.addition.digits import EQUALS, PLUS, STOP, compute_carries, count_digits, read_operands
from tasks.addition.pairs import block_sizes, rank_pairs
from tasks.core.base import PADDING, Batch, Bound, Task
from tasks.core.insight import Contrast, choose
from tasks.core.splits import fingerprint_rows
from tasks.core.strata import Ranks, Stratum
from tasks.errors import TaskError, shown
from tasks.settings import require

OPERAND, SIGN, END, CARRY = 1, 2, 3, 4
"""Roles; the number of carry_k is CARRY + k."""
_MOST_DIGITS = 100


@dataclass(frozen=True, kw_only=True)
class Addition(Task):
    """Two uniform numbers of d digits each, with leading zeros, and their sum in d + 1 digits."""

    name: ClassVar[str] = "addition"
    summary: ClassVar[str] = "add two numbers digit by digit, with carries"
    source: ClassVar[str] = "Lee et al. 2023 (plain and reversed formats)"
    role_labels: ClassVar[Mapping[str, str]] = {
        "operand": "digits of the operands",
        "sign": "plus and equals signs",
        "end": "end token",
        "carry_#": "sum digits that depend on # lower ones",
    }
    headline: ClassVar[str] = "exact"
    has_answer: ClassVar[bool] = True

    digits: tuple[int, int] = (1, 3)
    """Fewest and most digits d of the operands; uniform between them."""
    order: Literal["forward", "reversed"] = "reversed"
    """Whether the sum starts with its highest digit, or with its units, so that every carry comes from earlier digits."""
    chains: int = 3
    """Highest c of the roles carry_0 to carry_c; the last also has the digits that depend on more lower places."""
    test_digits: tuple[int, int] | None = (4, 5)
    """Fewest and most digits that are evaluated separately, as the variants `d4`, `d5`; null for none."""
    loss_on: Literal["all", "answer"] = "answer"

    def check(self) -> None:
        require(1 <= self.chains <= _MOST_DIGITS, "addition.chains", self.chains, f"between 1 and {_MOST_DIGITS}")
        for setting, digits in (("digits", self.digits), ("test_digits", self.test_digits)):
            if digits is not None:
                allowed = f"[low, high] with 1 <= low <= high <= {_MOST_DIGITS}"
                require(1 <= digits[0] <= digits[1] <= _MOST_DIGITS, f"addition.{setting}", digits, allowed)

    @property
    def roles(self) -> tuple[str, ...]:
        """`operand`, `sign` (+ or =), `end`, and `carry_0` ... for the digits of the sum."""
        return (PADDING, "operand", "sign", "end", *(f"carry_{k}" for k in range(self.chains + 1)))

    @property
    def vocab_size(self) -> int:
        return STOP + 1

    @property
    def longest_answer(self) -> int:
        return self.digits[1] + 1

    @property
    def length(self) -> int:
        """Tokens of two operands, two signs, the sum and the end, with the most digits."""
        return 3 * self.digits[1] + 4

    def word(self, token: int) -> str:
        return "<end>" if token == STOP else "0123456789+="[token]

    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        low, high = self.digits
        digits_B = rng.integers(low, high, size=size, endpoint=True)
        operands_2BP = rng.integers(10, size=(2, size, high)) * (np.arange(high) < digits_B[:, None])
        return self._build(digits_B, operands_2BP)

    def instances(self, tokens: NDArray[np.int64]) -> NDArray[np.integer]:
        """Return fingerprints of the two numbers, independent of order and leading zeros: 3 + 4 and 04 + 03 are the same."""
        first_B2, second_B2 = (fingerprint_rows(operand_BP) for operand_BP in read_operands(tokens))
        swapped_B1 = first_B2[:, :1] > second_B2[:, :1]
        both = np.where(swapped_B1, second_B2, first_B2), np.where(swapped_B1, first_B2, second_B2)
        return np.concatenate(both, axis=1)

    def instance_count(self) -> Bound:
        """Count the unordered pairs of numbers with at most the most digits."""
        numbers = 10 ** self.digits[1]
        return Bound(numbers * (numbers + 1) // 2)

    def strata(self) -> tuple[Stratum, ...]:
        """Return the numbers of digits, which are equally likely, with blocks of pairs as in `block_sizes`."""
        low, high = self.digits
        chance = 1 / (high + 1 - low)
        blocks = [size for digits in range(1, high + 1) for size in block_sizes(digits)]
        return tuple(
            Stratum(
                name=f"{digits} digit{'s' * (digits > 1)}",
                chance=chance,
                blocks=tuple((size, 1) for size in blocks[: 2 * digits]),
            )
            for digits in range(low, high + 1)
        )

    def stratum(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        return count_digits(tokens) - self.digits[0]

    def rank(self, tokens: NDArray[np.int64]) -> Ranks:
        return rank_pairs(*read_operands(tokens))

    def floor(self, role: str) -> float | None:
        """Average the losses of `optimum` over the targets of a role: 0 for `end` and the digits of the sum."""
        number = self.role(role)
        if number == 0 or number >= CARRY:
            return None if number == 0 else 0.0
        targets = (self._roles_of_column[self._columns] == number) & self._possible
        targets[:, 0] = False  # nothing predicts a sequence's first token
        return float(self._nats[targets].mean())

    def chance(self, role: str) -> float | None:
        """Return 1/10 for the digits of operands; those of the sum are not uniform."""
        return 1 / 10 if self.role(role) == OPERAND else None

    def optimum(self, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """Compute the loss of uniform operand digits, and of the end of the first number.

        From `low` digits on it ends after j digits with hazard 1 / (high - j + 1).
        """
        nats: NDArray[np.float64] = self._nats[count_digits(tokens)]
        return nats

    def contrast(self, batch: Batch) -> Contrast:
        """Change a digit of an operand; the answer is the first digit of the sum that differs."""
        high, digits_B = self.digits[1], count_digits(batch.tokens)
        operands_2BP, row_B = np.stack(read_operands(batch.tokens)), np.arange(len(batch))
        has_place_BC = np.tile(np.arange(high), 2) < digits_B[:, None]  # of the first, then of the second operand
        column_B, more_B = np.divmod(choose(batch.tokens, np.repeat(has_place_BC, 9, axis=1)), 9)
        operands_2BP[column_B // high, row_B, column_B % high] += 1 + more_B
        changed = self._build(digits_B, operands_2BP % 10)
        differs_BT = changed.tokens != batch.tokens
        in_answer_BT = differs_BT & (np.arange(self.length) >= changed.answer[:, :1])
        return Contrast(
            sequence=row_B, tokens=changed.tokens, changed=differs_BT.argmax(axis=1), answer=in_answer_BT.argmax(axis=1)
        )

    def latents(self, batch: Batch) -> Mapping[str, NDArray[np.generic]]:
        """Return the `carry` into the next digit of the sum, its `column sum` of operand digits, and the `carry after`.

        The last is the carry into the digit after the next. All are known once the operands are.
        """
        digits_B1 = count_digits(batch.tokens)[:, None]
        sums_BP = np.pad(sum(read_operands(batch.tokens)), ((0, 0), (0, 1)))
        carry_BP = compute_carries(sums_BP)

        def at(ahead: int, of_place_BP: NDArray[np.int64]) -> NDArray[np.int64]:
            digit_BT = np.arange(self.length) + ahead - (2 * digits_B1 + 2)
            known_BT = (digit_BT >= 0) & (digit_BT <= digits_B1) & (digits_B1 > 0)
            place_BT = np.where(known_BT, digit_BT if self.order == "reversed" else digits_B1 - digit_BT, 0)
            return np.where(known_BT, np.take_along_axis(of_place_BP, place_BT, axis=1), -1)

        return {"carry": at(1, carry_BP), "column sum": at(1, sums_BP), "carry after": at(2, carry_BP)}

    def next_distribution(self, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return uniform digits of operands unless the first operand ends; later tokens are certain."""
        count = tokens.shape[1]
        right = self._with_right_sum(np.pad(tokens, ((0, 0), (0, self.length - count)), constant_values=STOP))
        digits_B, open_B = right.answer[:, 0] // 2 - 1, (tokens != PLUS).all(axis=1)
        chances_BV = np.eye(self.vocab_size)[right.tokens[:, count]]
        chances_BV[open_B | (count <= 2 * digits_B)] = (np.arange(self.vocab_size) < 10) / 10
        end = 1 / max(self.digits[1] + 1 - count, 1) if count >= self.digits[0] else 0.0
        chances_BV[open_B] *= 1 - end
        chances_BV[open_B, PLUS] = end
        return chances_BV

    def consistent(self, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each digit of the sum is right, which depends on the operands alone."""
        right, position = self._with_right_sum(tokens), np.arange(self.length)
        outside_BT = (position < right.answer[:, :1]) | (position >= right.answer[:, 1:])
        return np.asarray(outside_BT | (tokens == right.tokens))

    def _with_right_sum(self, tokens: NDArray[np.int64]) -> Batch:
        """Return the sequences with the operands of these, and the right sum."""
        return self._build(count_digits(tokens), np.stack(read_operands(tokens)))

    def variants(self) -> dict[str, Task]:
        if self.test_digits is None:
            return {}
        low, high = self.test_digits
        return {f"d{d}": replace(self, digits=(d, d), test_digits=None) for d in range(low, high + 1)}

    def solve(self, prompt: NDArray[np.int64]) -> NDArray[np.int64]:
        self.check_ids(prompt)
        asked = re.fullmatch(r"(\d+)\+(\d+)=", "".join(map(self.word, prompt.tolist())))
        if asked is None or len(asked[1]) != len(asked[2]):
            raise TaskError("addition: a prompt is a number, +, another with the same number of digits, and =")
        total = str(int(asked[1]) + int(asked[2])).zfill(len(asked[1]) + 1)
        return np.array([int(digit) for digit in (total if self.order == "forward" else total[::-1])], dtype=np.int64)

    def format(self, row: Batch) -> str:
        """Write `12+39=51` for either order, with all digits of the operands and no leading zeros of the sum."""
        begin, end = row.answer[0].tolist()
        prompt, total = ("".join(map(self.word, ids.tolist())) for ids in (row.tokens[0, :begin], row.tokens[0, begin:end]))
        return prompt + str(int(total if self.order == "forward" else total[::-1]))

    def parse(self, line: str) -> Batch:
        stated = re.fullmatch(r"\s*([0-9]+)\s*\+\s*([0-9]+)\s*=\s*([0-9]+)\s*", line)
        if stated is None:
            raise TaskError(f"addition: {shown(line.strip())} is not a sum like 12+39=51")
        first, second, total = stated.groups()
        digits, (low, high) = max(len(first), len(second)), self.digits
        require(low <= digits <= high, "addition: digits of an operand", digits, f"between {low} and {high}")
        total = total.lstrip("0") or "0"
        require(len(total) <= high + 1, f"addition: digits of {first}+{second}", len(total), f"at most {high + 1}")
        padded = [[int(digit) for digit in reversed(number.zfill(high))] for number in (first, second)]
        row = self._build(np.array([digits]), np.array(padded)[:, None])
        right = int(first) + int(second)
        begin, end = row.answer[0].tolist()
        in_digits = " ".join(map(self.word, row.tokens[0, begin:end].tolist()))
        require(int(total) == right, f"addition: {first}+{second}", int(total), f"{right}, written as {in_digits}")
        return row

    def _build(self, digits_B: NDArray[np.int64], operands_2BP: NDArray[np.int64]) -> Batch:
        """Build sequences of operands, given their digits, lowest place first and 0 from place `digits_B` on."""
        _, size, high = operands_2BP.shape
        sums_BP = np.pad(operands_2BP.sum(axis=0), ((0, 0), (0, 1)))
        sum_BP = (sums_BP + compute_carries(sums_BP)) % 10
        needed_BP = np.zeros((size, high + 1), dtype=np.int64)  # lower places that each digit of the sum depends on
        for place in range(high):
            needed_BP[:, place + 1] = 1 + needed_BP[:, place] * (sums_BP[:, place] == 9)
        signs_B3 = np.broadcast_to([PLUS, EQUALS, STOP], (size, 3))
        tokens_BC = np.concatenate([*operands_2BP, sum_BP, signs_B3], axis=1)
        roles_BC = np.broadcast_to(self._roles_of_column, tokens_BC.shape).copy()
        roles_BC[:, 2 * high : 3 * high + 1] += np.minimum(needed_BP, self.chains)
        column_BT = self._columns[digits_B]
        begin_B1 = 2 * digits_B[:, None] + 2
        inside_BT = np.arange(self.length) <= begin_B1 + digits_B[:, None] + 1
        roles_BT = np.where(inside_BT, np.take_along_axis(roles_BC, column_BT, axis=1), 0)
        answer_B2 = np.concatenate([begin_B1, begin_B1 + digits_B[:, None] + 1], axis=1)
        return self.rows(np.take_along_axis(tokens_BC, column_BT, axis=1), roles_BT, answer_B2)

    @cached_property
    def _columns(self) -> NDArray[np.int64]:
        """(high + 1, T) int64, for operands of d digits the column of `_build` at each position.

        The columns are the places of the first operand, the second and the sum, lowest first, then +, = and end, which fills
        the rest of a sequence.
        """
        high = self.digits[1]
        plus, equals, stop = range(3 * high + 1, 3 * high + 4)
        table = np.full((high + 1, self.length), stop)
        for digits in range(1, high + 1):
            a = np.arange(digits)[::-1]
            total = 2 * high + np.arange(digits + 1)
            columns = [*a, plus, *(high + a), equals, *(total[::-1] if self.order == "forward" else total)]
            table[digits, : len(columns)] = columns
        return table

    @property
    def _roles_of_column(self) -> NDArray[np.int64]:
        """The role of each column, carry_0 for all places of the sum."""
        high = self.digits[1]
        return np.repeat([OPERAND, CARRY, SIGN, END], [2 * high, high + 1, 2, 1])

    @property
    def _possible(self) -> NDArray[np.bool_]:
        """(high + 1, 1) bool, whether operands can have d digits; all possible d are equally likely."""
        return (np.arange(self.digits[1] + 1) >= self.digits[0])[:, None]

    @cached_property
    def _nats(self) -> NDArray[np.float64]:
        """(high + 1, T) float64, the optimal predictor's loss at each position, for operands of d digits."""
        low, high = self.digits
        position, digits_D1 = np.arange(self.length), np.arange(high + 1)[:, None]
        left = np.maximum(high + 1 - position, 1)  # from `low` digits on, the number of possible lengths
        goes_on = np.where((position >= low) & (position < high), np.log(left / np.maximum(left - 1, 1)), 0.0)
        first, operand = position < digits_D1, self._roles_of_column[self._columns] == OPERAND
        return np.where(operand, np.log(10) + first * goes_on, np.where(position == digits_D1, np.log(left), 0.0))
