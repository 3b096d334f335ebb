"""Draw random balanced formulas, and find the assignments that satisfy them.

A literal is an integer: 2 i for variable i, and 2 i + 1 for its negation. A set of assignments has a bit for each of them in a
few 64-bit words.

Shapes: B formulas, M clauses, W literals of a clause, N variables, L = 2 N literals, S = 2^N assignments, K words, C sets of W
different variables, O = M W occurrences of variables.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.core.categorical import cumulative_steps, draw_by_steps
from tasks.core.rng import stream

Ints = NDArray[np.int64]

TRIED = 2000
"""Number of formulas that are drawn to estimate the share with exactly one solution."""


class Formulas(NamedTuple):
    """Tables for balanced formulas of one size, in which every variable occurs as often negated as not.

    Attributes:
        values_SN: The value of each variable in each assignment, 0 or 1.
        false_LK: The assignments in which each literal is false.
        sets_CW: All sets of W different variables.
        parity_C: Each set as a number whose bit i stands for variable i.
        steps: For each clause, the distribution of its set of variables given the parities of the variables' counts so far, for
            `draw_by_steps`.
    """

    values_SN: Ints
    false_LK: NDArray[np.uint64]
    sets_CW: Ints
    parity_C: Ints
    steps: tuple[NDArray[np.float64], ...]

    def draw(self, rng: np.random.Generator, size: int) -> Ints:
        """Draw formulas (B, M, W): uniform sets among those with an even count of every variable, and then uniform signs."""
        uniform_MB = rng.random((len(self.steps), size))
        set_MB, parity_B = np.empty(uniform_MB.shape, dtype=np.int64), np.zeros(size, dtype=np.int64)
        for clause, steps in enumerate(self.steps):
            set_MB[clause] = draw_by_steps(steps, parity_B, uniform_MB[clause])
            parity_B ^= self.parity_C[set_MB[clause]]
        variable_BO = self.sets_CW[set_MB.T].reshape(size, -1)
        shuffled_BO = (variable_BO + rng.random(variable_BO.shape)).argsort(axis=1)  # sorted by variable, to negate every other
        negated_BO = np.empty(variable_BO.shape, dtype=np.int64)
        np.put_along_axis(negated_BO, shuffled_BO, np.arange(variable_BO.shape[1])[None] % 2, axis=1)
        return (2 * variable_BO + negated_BO).reshape(size, len(self.steps), -1)

    def exclude(self, literals_BMW: Ints) -> NDArray[np.uint64]:
        """Return the assignments that each clause excludes, (B, M, K): those in which all of its literals are false."""
        excluded: NDArray[np.uint64] = np.bitwise_and.reduce(self.false_LK[literals_BMW], axis=2)
        return excluded

    def count_solutions(self, literals_BMW: Ints) -> Ints:
        """Count the assignments that satisfy each formula, (B,)."""
        excluded_BK = np.bitwise_or.reduce(self.exclude(literals_BMW), axis=1)
        count_B: Ints = np.bitwise_count(excluded_BK).sum(axis=1, dtype=np.int64)
        return len(self.values_SN) - count_B

    def solve(self, literals_BMW: Ints) -> NDArray[np.bool_]:
        """Return whether each assignment satisfies the first 0, 1, ..., M clauses, (B, 1 + M, S)."""
        excluded_BMK = np.bitwise_or.accumulate(self.exclude(literals_BMW), axis=1)
        bits_BMS = np.unpackbits(excluded_BMK.view(np.uint8), axis=2, count=len(self.values_SN))
        return np.asarray(np.pad(bits_BMS, ((0, 0), (1, 0), (0, 0))) == 0)

    def is_balanced(self, literals_BMW: Ints) -> NDArray[np.bool_]:
        """Return whether every variable occurs as often negated as not, (B,)."""
        literal_L = np.arange(len(self.false_LK))
        count_BL = (literals_BMW.reshape(len(literals_BMW), -1, 1) == literal_L).sum(axis=1)
        return np.asarray((count_BL[:, ::2] == count_BL[:, 1::2]).all(axis=1))

    def every_clause(self) -> Ints:
        """List all clauses, (2^W C, W)."""
        signs = np.array(list(product((0, 1), repeat=self.sets_CW.shape[1])))
        clauses: Ints = (2 * self.sets_CW[:, None] + signs).reshape(-1, signs.shape[1])
        return clauses


@lru_cache(maxsize=16)
def build_formulas(variables: int, clauses: int, width: int) -> Formulas:
    """Build the tables for formulas of a size with an even number of literals."""
    assignments = np.arange(1 << variables)
    values_SN = assignments[:, None] >> np.arange(variables) & 1
    false_LS = np.stack([values_SN.T == 0, values_SN.T == 1], axis=1).reshape(2 * variables, -1)
    padded_LS = np.pad(false_LS, ((0, 0), (0, -len(assignments) % 64)))
    sets_CW = np.array(list(combinations(range(variables), width)))
    parity_C = (1 << sets_CW).sum(axis=1)
    even_S, steps = (assignments == 0).astype(np.float64), []  # probability that the remaining clauses make all counts even
    for _ in range(clauses):
        chance_SC = even_S[assignments[:, None] ^ parity_C]
        even_S = chance_SC.mean(axis=1)
        steps.append(cumulative_steps(chance_SC / np.maximum(chance_SC.sum(axis=1, keepdims=True), 1e-300)))
    false_LK = np.ascontiguousarray(np.packbits(padded_LS, axis=1)).view(np.uint64)
    return Formulas(values_SN, false_LK, sets_CW, parity_C, tuple(steps[::-1]))


@lru_cache(maxsize=64)
def count_solved(variables: int, clauses: int, width: int) -> int:
    """Draw `TRIED` balanced formulas, and count those with exactly one solution."""
    formulas = build_formulas(variables, clauses, width)
    rng = stream(f"satisfiability/{variables}/{clauses}/{width}", seed=0, index=0)
    return int((formulas.count_solutions(formulas.draw(rng, TRIED)) == 1).sum())
