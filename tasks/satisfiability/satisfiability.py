"""Satisfiability: find the one assignment of truth values that makes every clause of a formula true.

A sequence with five variables, without the bars; the answer has the true literal of each variable, in order:

    x1 -x2 x4 | -x1 x3 -x5 | x2 -x3 x5 | ...        -x1 -x2 x3 x4 -x5

A clause is true if one of its literals is. Formulas have exactly one solution, and every variable is negated in half of its
occurrences. To draw a formula, the variables of its clauses are drawn uniformly among the choices that allow this, and then the
signs uniformly; formulas with another number of solutions are rejected.

Since there is one solution, the prompt determines the answer: floors are 0, and `exact` counts every assignment that satisfies
the formula. Balanced signs remove a bias of planted formulas, whose literals agree with the hidden solution more often than not
(4 of 7 with three literals), so that the more frequent sign of a variable predicts its value. Rejection alone has this bias:
with uniform signs, 5 variables and 20 clauses this guess is right for 0.69 of the values (measured). With balanced signs it is
always a tie, and right for exactly 1/2. To hide a solution by weights of clauses (Jia, Moore and Strain 2005) would balance
signs on average only.

Later values are easier: given all others, one clause determines the last value. The first value needs the whole formula.

Shapes: B sequences, T positions, M clauses, W literals of a clause, N variables, P tokens of a prompt, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import comb
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks.core.base import PADDING, Batch, Bound, Task
from tasks.core.splits import MOST_LISTED, draw_in_split
from tasks.core.text import check_answer
from tasks.errors import TaskError
from tasks.satisfiability.formulas import TRIED, Formulas, Ints, build_formulas, count_solved
from tasks.settings import require

_MOST_VARIABLES, _MOST_CLAUSES = 9, 400
_FEWEST = 20
"""Least number of the `TRIED` formulas that must have exactly one solution."""


@dataclass(frozen=True, kw_only=True)
class Satisfiability(Task):
    """Clauses of literals, then the only assignment that satisfies all of them."""

    name: ClassVar[str] = "satisfiability"
    summary: ClassVar[str] = "find the only assignment that satisfies every clause of a formula"
    source: ClassVar[str] = "3-SAT; as a test of prediction heads in arXiv 2604.11912"
    role_labels: ClassVar[Mapping[str, str]] = {"literal": "literals of the clauses", "value_#": "value of variable #"}
    headline: ClassVar[str] = "exact"
    has_answer: ClassVar[bool] = True

    variables: int = 4
    """N, number of variables, each of which has a token in the answer."""
    clauses: int = 12
    """M, number of clauses: 2.5 to 7 for each variable with three literals, else formulas with one solution are too rare."""
    width: int = 3
    """W, literals of a clause, of different variables; a balanced formula with two literals a clause never has one solution."""

    def check(self) -> None:
        require(3 <= self.width <= _MOST_VARIABLES, "satisfiability.width", self.width, f"between 3 and {_MOST_VARIABLES}")
        allowed = f"between {self.width}, the width of a clause, and {_MOST_VARIABLES}"
        require(self.width <= self.variables <= _MOST_VARIABLES, "satisfiability.variables", self.variables, allowed)
        require(1 <= self.clauses <= _MOST_CLAUSES, "satisfiability.clauses", self.clauses, f"between 1 and {_MOST_CLAUSES}")
        even = self.width * self.clauses % 2 == 0
        require(even, "satisfiability.clauses", self.clauses, "even where width is odd, since half of the literals are negated")
        found = self._solved
        allowed = f"a number at which at least {_FEWEST} of {TRIED} formulas have exactly one solution ({found} here)"
        require(found >= _FEWEST, "satisfiability.clauses", self.clauses, allowed)

    @property
    def roles(self) -> tuple[str, ...]:
        return (PADDING, "literal", *(f"value_{number}" for number in range(1, self.variables + 1)))

    @property
    def vocab_size(self) -> int:
        return 2 * self.variables

    @property
    def length(self) -> int:
        return self.sampled_from + self.variables

    def word(self, token: int) -> str:
        return f"{'-' * (token % 2)}x{token // 2 + 1}"

    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        def draw(count: int) -> tuple[Ints]:
            return (self._formulas.draw(rng, count),)

        def has_one_solution(formulas: tuple[Ints, ...]) -> NDArray[np.bool_]:
            return np.asarray(self._formulas.count_solutions(formulas[0]) == 1)

        (literals_BMW,) = draw_in_split(draw, has_one_solution, size, split, self._solved / TRIED)
        prompt_BP = literals_BMW.reshape(size, -1)
        return self._with_roles(np.concatenate([prompt_BP, self._answers(prompt_BP)], axis=1))

    def label(self, tokens: Ints) -> Batch:
        batch = self._with_roles(tokens)
        for number in range(len(batch)):
            check_answer(self, batch.row(number))
        return batch

    def roles_of(self, tokens: Ints) -> Ints:
        """Return the role of each position."""
        return np.broadcast_to(np.maximum(1, 2 + np.arange(tokens.shape[1]) - self.sampled_from), tokens.shape)

    def instances(self, tokens: Ints) -> NDArray[np.integer]:
        """Return the clauses, sorted."""
        codes_BM: Ints = self._literals(tokens) @ self.vocab_size ** np.arange(self.width)
        return np.sort(codes_BM, axis=1)

    def instance_count(self) -> Bound:
        """Count the listed instances, or else all multisets of clauses as a bound."""
        every = self.every_instance()
        clauses = comb(self.variables, self.width) << self.width
        return Bound(comb(clauses + self.clauses - 1, self.clauses), "at most") if every is None else Bound(len(every))

    def every_instance(self) -> NDArray[np.integer] | None:
        clauses = self._formulas.every_clause()
        if comb(len(clauses) + self.clauses - 1, self.clauses) > MOST_LISTED:
            return None
        chosen = np.array(list(combinations_with_replacement(range(len(clauses)), self.clauses)))
        literals_BMW = clauses[chosen]
        kept_B = (self._formulas.count_solutions(literals_BMW) == 1) & self._formulas.is_balanced(literals_BMW)
        return self.instances(literals_BMW[kept_B].reshape(kept_B.sum(), -1))

    def floor(self, role: str) -> float | None:
        """Return 0 for values, since there is one solution; literals depend on each other and have no closed form."""
        return None if self.role(role) < 2 else 0.0

    def chance(self, role: str) -> float | None:
        """Return 1 / 2N for a literal, and 1/2 for a value, which the balanced signs of its variable do not reveal."""
        number = self.role(role)
        return None if number == 0 else 1 / self.vocab_size if number == 1 else 1 / 2

    @property
    def sampled_from(self) -> int:
        """The position of the answer."""
        return self.clauses * self.width

    def judge(self, tokens: Ints) -> dict[str, float]:
        """Compute the share of formulas that answers have `satisfied`, that is of right answers, and of true `clauses`."""
        answer_BN = tokens[:, self.sampled_from :]
        proper_BN = answer_BN // 2 == np.arange(self.variables)  # a literal of the position's variable
        true_BV = (np.where(proper_BN, answer_BN, -1)[:, :, None] == np.arange(self.vocab_size)).any(axis=1)
        true_BMW = true_BV[np.arange(len(tokens))[:, None, None], self._literals(tokens)]
        true_BM = true_BMW.any(axis=2)
        satisfied_B = proper_BN.all(axis=1) & true_BM.all(axis=1)
        return {"satisfied": float(satisfied_B.mean()), "clauses": float(true_BM.mean())}

    def solve(self, prompt: Ints) -> Ints:
        self.check_ids(prompt)
        form = f"{self.clauses} clauses of {self.width} literals, of different variables in increasing order"
        if len(prompt) != self.sampled_from:
            raise TaskError(f"satisfiability: a prompt has {self.sampled_from} tokens, {form}, not {len(prompt)}")
        literals_BMW = self._literals(prompt[None])
        if (np.diff(literals_BMW // 2, axis=2) <= 0).any():
            raise TaskError(f"satisfiability: a prompt is {form}")
        if not self._formulas.is_balanced(literals_BMW).all():
            raise TaskError("satisfiability: every variable must occur as often negated as not")
        solutions = int(self._formulas.count_solutions(literals_BMW)[0])
        require(solutions == 1, "satisfiability: the number of solutions", solutions, "1")
        answer: Ints = self._answers(prompt[None])[0]
        return answer

    def latents(self, batch: Batch) -> Mapping[str, NDArray[np.generic]]:
        """Return `solutions`, the number of assignments that satisfy all clauses so far, and their `marginals` and `value i`.

        The marginals (B, T, N) are the shares of these in which each variable is true; `value i` is that of variable i where
        all of them agree.
        """
        alive_BMS = self._formulas.solve(self._literals(batch.tokens))
        count_BM = alive_BMS.sum(axis=2)
        with np.errstate(invalid="ignore"):
            share_BMN = (alive_BMS.astype(np.float64) @ self._formulas.values_SN) / count_BM[:, :, None]
        read_T = np.minimum((np.arange(self.length) + 1) // self.width, self.clauses)
        share_BTN = share_BMN[:, read_T]
        value_BTN = np.select([share_BTN == 0, share_BTN == 1], [0, 1], -1)
        values = {f"value {number + 1}": value_BTN[:, :, number] for number in range(self.variables)}
        return {"solutions": count_BM[:, read_T], "marginals": share_BTN} | values

    def next_distribution(self, tokens: Ints) -> NDArray[np.float64] | None:
        """Return the certain next value once the formula is complete, and None before."""
        if tokens.shape[1] < self.sampled_from:
            return None
        return np.eye(self.vocab_size)[self._answers(tokens)[:, tokens.shape[1] - self.sampled_from]]

    def consistent(self, tokens: Ints) -> NDArray[np.bool_]:
        """Return whether each value is right, which depends on the formula alone."""
        consistent_BT = np.ones(tokens.shape, dtype=np.bool_)
        consistent_BT[:, self.sampled_from :] = tokens[:, self.sampled_from :] == self._answers(tokens)
        return consistent_BT

    def _with_roles(self, tokens: Ints) -> Batch:
        """Return sequences with their roles and answers."""
        return self.rows(tokens, self.roles_of(tokens), np.tile([self.sampled_from, self.length], (len(tokens), 1)))

    def _literals(self, tokens: Ints) -> Ints:
        """Return the literals of sequences or prompts, (B, M, W)."""
        return tokens[:, : self.sampled_from].reshape(len(tokens), self.clauses, self.width)

    def _answers(self, tokens: Ints) -> Ints:
        """Return the first solution of the formulas of sequences or prompts, (B, N) ids."""
        alive_BS = self._formulas.solve(self._literals(tokens))[:, -1]
        values_BN = self._formulas.values_SN[alive_BS.argmax(axis=1)]
        return np.asarray(2 * np.arange(self.variables) + 1 - values_BN)

    @property
    def _formulas(self) -> Formulas:
        return build_formulas(self.variables, self.clauses, self.width)

    @property
    def _solved(self) -> int:
        """How many of the `TRIED` formulas have exactly one solution."""
        return count_solved(self.variables, self.clauses, self.width)
