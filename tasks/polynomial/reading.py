"""Read the expressions of a batch from left to right, and compute each value as soon as it is complete.

Shapes: B sequences, T positions, K coefficients, D depths of a stack, O options, R and N some of the B sequences, C sequences
of a contrast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.core.insight import Contrast, choose
from tasks.polynomial.expressions import BINARY, LEAF, operate

Ints = NDArray[np.int64]

_SHIFTS = 4
"""Number of other values that are tried for a coefficient, at most."""
_TRIES = 32
"""Number of changes that are tried for a sequence, at most."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Reading:
    """The values of the expressions of a batch.

    Attributes:
        value_BTK: The value of the largest subexpression that ends at each position; -1 where none ends.
        end_B: The position after the expression; T if it is incomplete.
        result_BK: The value of the expression; -1 if it is incomplete.
    """

    value_BTK: Ints
    end_B: Ints
    result_BK: Ints


class _Stacks:
    """A stack for each sequence of the operators that wait for operands.

    Attributes:
        p: Modulus of the coefficients.
        depth_B: The number of operators on each stack.
        kind_BD: The kind of each operator.
        first_BDK: The first operand of each, if `has_first_BD`.
        has_first_BD: Whether the first operand of each is known.
    """

    def __init__(self, size: int, most: int, k: int, p: int) -> None:
        self.p = p
        self.depth_B = np.zeros(size, dtype=np.int64)
        self.kind_BD = np.zeros((size, most), dtype=np.int64)
        self.first_BDK = np.zeros((size, most, k), dtype=np.int64)
        self.has_first_BD = np.zeros((size, most), dtype=np.bool_)

    def push(self, row_R: Ints, kind_R: Ints) -> None:
        """Push an operator onto the stacks of some sequences."""
        depth_R = self.depth_B[row_R]
        self.kind_BD[row_R, depth_R], self.has_first_BD[row_R, depth_R] = kind_R, False
        self.depth_B[row_R] += 1

    def reduce(self, row_R: Ints, value_RK: Ints) -> Ints:
        """Add a value to some sequences, compute every operation that has its operands, and return the last values, (R, K)."""
        value_RK, open_N = value_RK.copy(), np.arange(len(row_R))
        while len(open_N := open_N[self.depth_B[row_R[open_N]] > 0]):
            row_N = row_R[open_N]
            top_N = self.depth_B[row_N] - 1
            kind_N, value_NK = self.kind_BD[row_N, top_N], value_RK[open_N]
            waits_N = BINARY[kind_N] & ~self.has_first_BD[row_N, top_N]
            self.first_BDK[row_N[waits_N], top_N[waits_N]] = value_NK[waits_N]
            self.has_first_BD[row_N[waits_N], top_N[waits_N]] = True
            first_NK = np.where(BINARY[kind_N][:, None], self.first_BDK[row_N, top_N], value_NK)
            open_N, ready_N = open_N[~waits_N], ~waits_N
            value_RK[open_N] = operate(kind_N[ready_N], first_NK[ready_N], value_NK[ready_N], self.p)
            self.depth_B[row_N[ready_N]] -= 1
        return value_RK


def read(tokens: Ints, p: int, k: int) -> Reading:
    """Read the expression at the beginning of each sequence, up to the first token that cannot continue it.

    Args:
        tokens: (B, T) ids; those of coefficients are below p, and those of operators follow.
        p: Modulus of the coefficients.
        k: Number of coefficients of a polynomial.
    """
    size, length = tokens.shape
    padded = np.pad(tokens, ((0, 0), (0, k)), constant_values=p + LEAF)
    value_BTK, result_BK = np.full((size, length, k), -1), np.full((size, k), -1)
    end_B, cursor_B, row_R = np.full(size, length), np.zeros(size, dtype=np.int64), np.arange(size)
    stacks = _Stacks(size, int(((tokens >= p) & (tokens < p + LEAF)).sum(axis=1).max(initial=0)), k, p)
    while len(row_R):
        next_RK = padded[row_R[:, None], cursor_B[row_R, None] + np.arange(k)]
        operator_R = (next_RK[:, 0] >= p) & (next_RK[:, 0] < p + LEAF)
        leaf_R = (next_RK < p).all(axis=1)
        stacks.push(row_R[operator_R], next_RK[operator_R, 0] - p)
        row_N = row_R[leaf_R]
        cursor_B[row_R] += np.where(leaf_R, k, 1)
        value_NK = stacks.reduce(row_N, next_RK[leaf_R])
        value_BTK[row_N, cursor_B[row_N] - 1] = value_NK
        whole_N = stacks.depth_B[row_N] == 0
        end_B[row_N[whole_N]], result_BK[row_N[whole_N]] = cursor_B[row_N[whole_N]], value_NK[whole_N]
        row_R = row_R[(operator_R | leaf_R) & (stacks.depth_B[row_R] > 0)]
    return Reading(value_BTK=value_BTK, end_B=end_B, result_BK=result_BK)


def change_coefficient(tokens: Ints, begin: Ints, p: int, k: int) -> Contrast:
    """Change one coefficient of each expression so that the result changes, and write the new result as the answer.

    Args:
        tokens: (B, T) ids.
        begin: (B,) positions at which the answers begin.
        p: Modulus of the coefficients.
        k: Number of coefficients of a polynomial.
    """
    reading, position_T, shifts = read(tokens, p, k), np.arange(tokens.shape[1]), min(_SHIFTS, p - 1)
    coefficient_BT = (tokens < p) & (position_T < reading.end_B[:, None])
    untried_BO = np.repeat(coefficient_BT, shifts, axis=1)
    changed, changed_B, result_BK = tokens.copy(), np.full(len(tokens), -1), reading.result_BK.copy()
    row_R = np.arange(len(tokens))
    for key in range(_TRIES):
        row_R = row_R[untried_BO[row_R].any(axis=1)]
        option_R = choose(tokens[row_R], untried_BO[row_R], key)
        untried_BO[row_R, option_R] = False
        position_R, shift_R = option_R // shifts, 1 + option_R % shifts
        tried_RT = tokens[row_R]
        tried_RT[np.arange(len(row_R)), position_R] = (tokens[row_R, position_R] + shift_R) % p
        result_RK = read(tried_RT, p, k).result_BK
        works_R = (result_RK != reading.result_BK[row_R]).any(axis=1)
        row_N = row_R[works_R]
        changed[row_N], changed_B[row_N], result_BK[row_N] = tried_RT[works_R], position_R[works_R], result_RK[works_R]
        row_R = row_R[~works_R]
    sequence_C = np.flatnonzero(changed_B >= 0)
    changed[np.arange(len(tokens))[:, None], begin[:, None] + np.arange(k)] = result_BK
    differs_CK = (result_BK != reading.result_BK)[sequence_C]
    return Contrast(
        sequence=sequence_C,
        tokens=changed[sequence_C],
        changed=changed_B[sequence_C],
        answer=begin[sequence_C] + differs_CK.argmax(axis=1),
    )
