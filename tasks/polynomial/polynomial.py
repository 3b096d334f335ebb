"""Polynomial arithmetic in F_p[X]/(X^k) (Gloeckle et al. 2024, section 4.2 and appendix K).

A sequence with p = 3 and k = 2, in which the leaf 2,1 is 2 + X:

    *  o  2,1  0,2  1,1  =  2,1  end        (2 + X) o 2X = 2 + 2X,  times 1 + X = 2 + 4X + 2X^2 = 2 + X
    o  o  c c  c c  c c  p  a a  e          o: operator, c: coefficient, p: pause or =, a: answer_0 and answer_1, e: end

Every operation acts on the representatives of degree below k. Negation, addition and multiplication are those of the quotient
ring. Composition a(b(X)) mod X^k is not: on the ring it is well defined only if the constant term of b is 0, since otherwise a
and a + X^k, which are the same element, compose to different results. On representatives it is always defined.

Shapes: B sequences, T positions, N nodes of a tree, K coefficients of a polynomial (lowest degree first).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.core.base import PADDING, Batch, Bound, Task
from tasks.core.insight import Contrast
from tasks.core.splits import fingerprint_rows, hash_instances
from tasks.core.strata import MOST_RANKED, Ranks, Stratum, ranked_size
from tasks.errors import TaskError, shown
from tasks.polynomial import text
from tasks.polynomial.expressions import (
    BINARY,
    LEAF,
    OPERATORS,
    draw_trees,
    evaluate,
    expression_surprisal,
    mean_surprisal,
    operate,
    operator_blocks,
)
from tasks.polynomial.reading import change_coefficient, read
from tasks.settings import is_prime, require

OPERATOR, COEFFICIENT, PAUSE, END = 1, 2, 3, 4
"""Roles that do not depend on settings; answer_0 ... answer_{k-1} follow them."""
_ENUMERATED = 6
"""Most operations at which all shapes of trees are enumerated for the floors of operators and coefficients."""


@dataclass(frozen=True, kw_only=True)
class Polynomial(Task):
    """An expression in prefix notation, then the coefficients of its value, lowest degree first."""

    name: ClassVar[str] = "polynomial"
    summary: ClassVar[str] = "evaluate an expression of polynomials modulo X^k over a prime field"
    source: ClassVar[str] = "Gloeckle et al. 2024, section 4.2"
    role_labels: ClassVar[Mapping[str, str]] = {
        "operator": "operators",
        "coefficient": "coefficients of the expression",
        "pause": "pause tokens and equals sign",
        "end": "end token",
        "answer_#": "answer's coefficient of degree #",
    }
    headline: ClassVar[str] = "exact"
    has_answer: ClassVar[bool] = True

    p: int = 3
    """Prime modulus of the coefficients."""
    k: int = 2
    """K, coefficients of a polynomial, which has a degree below k."""
    operations: tuple[int, int] = (1, 3)
    """Fewest and most operations m of an expression; uniform between them."""
    pause: int = 0
    """Pause tokens between the expression and the = before the answer (0, 5, 10 in the paper)."""
    test_operations: tuple[int, int] | None = (1, 4)
    """Fewest and most operations that are evaluated separately, as the variants `m1`, `m2`, ...; null for none."""
    loss_on: Literal["all", "answer"] = "all"

    def check(self) -> None:
        require(self.p < 2**15 and is_prime(self.p), "polynomial.p", self.p, "a prime below 32768")
        require(1 <= self.k <= 64, "polynomial.k", self.k, "between 1 and 64")
        require(0 <= self.pause <= 1000, "polynomial.pause", self.pause, "between 0 and 1000")
        for setting, operations in (("operations", self.operations), ("test_operations", self.test_operations)):
            if operations is not None:
                allowed = "[low, high] with 1 <= low <= high <= 100"
                require(1 <= operations[0] <= operations[1] <= 100, f"polynomial.{setting}", operations, allowed)

    @property
    def roles(self) -> tuple[str, ...]:
        """`pause` stands for pause tokens and for the = after them."""
        return (PADDING, "operator", "coefficient", "pause", "end", *(f"answer_{i}" for i in range(self.k)))

    @property
    def vocab_size(self) -> int:
        """Number of coefficients and operators, and three for pause, = and end."""
        return self.p + len(OPERATORS) + 3

    @property
    def classes(self) -> NDArray[np.int64]:
        """Three classes: coefficients; operators; pause, = and end."""
        return np.repeat(np.arange(3), [self.p, len(OPERATORS), 3])

    @property
    def length(self) -> int:
        """Tokens of the longest sequence, whose operators are all binary."""
        most = self.operations[1]
        return most + (most + 1) * self.k + self._tail

    @property
    def longest_answer(self) -> int:
        return self.k

    @property
    def _tail(self) -> int:
        """Number of tokens after an expression: pauses, =, the answer and end."""
        return self.pause + 1 + self.k + 1

    def word(self, token: int) -> str:
        return str(token) if token < self.p else (*OPERATORS, ".", "=", "<end>")[token - self.p]

    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        low, high = self.operations
        trees = draw_trees(rng, rng.integers(low, high, size=size, endpoint=True), high)
        leaves_BNK = rng.integers(self.p, size=(*trees.kind_BN.shape, self.k))
        values_BNK = leaves_BNK.copy()
        for count in range(1, high + 1):  # smaller subtrees first, so that the values of operands are known
            row, node = np.nonzero(trees.count_BN == count)
            first, second = values_BNK[row, node + 1], values_BNK[row, trees.second_BN[row, node]]
            values_BNK[row, node] = operate(trees.kind_BN[row, node], first, second, self.p)
        return self._build(trees.kind_BN, leaves_BNK, values_BNK[:, 0])

    def instances(self, tokens: NDArray[np.int64]) -> NDArray[np.integer]:
        """Return fingerprints of the expression, independent of sequence length and pauses."""
        return fingerprint_rows((tokens + 1) * self._inside(tokens))

    def instance_count(self) -> Bound:
        """Count expressions by recursion: those of m operations have a unary or a binary operator over m - 1 operations."""
        expressions = [self.p**self.k]  # by number of operations
        binary = int(BINARY.sum())
        for m in range(self.operations[1]):
            pairs = sum(expressions[left] * expressions[m - left] for left in range(m + 1))
            expressions.append((len(OPERATORS) - binary) * expressions[m] + binary * pairs)
        return Bound(sum(expressions[self.operations[0] :]))

    def strata(self) -> tuple[Stratum, ...]:
        """Return the numbers of operations, which are equally likely; a block has the same operators in the same order."""
        low, high = self.operations
        return tuple(
            Stratum(
                name=f"{m} operation{'s' * (m > 1)}", chance=1 / (high + 1 - low), blocks=operator_blocks(m, self.p**self.k)
            )
            for m in range(low, high + 1)
        )

    def stratum(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        operators_B: NDArray[np.int64] = ((tokens >= self.p) & self._inside(tokens)).sum(axis=1)
        return operators_B - self.operations[0]

    def rank(self, tokens: NDArray[np.int64]) -> Ranks | None:
        """Rank expressions by the coefficients of all leaves, read as the digits of a number in base p."""
        if self.p**self.k > MOST_RANKED:
            return None
        inside_BT = self._inside(tokens)
        leaf_BT = inside_BT & (tokens < self.p)
        later_BT = leaf_BT[:, ::-1].cumsum(axis=1)[:, ::-1] - leaf_BT  # the number of coefficients that follow
        powers = np.array([ranked_size(self.p**count) for count in range(tokens.shape[1] + 1)])
        rank_B = (tokens * leaf_BT * powers[later_BT]).sum(axis=1)
        operators_B2 = fingerprint_rows(np.where(leaf_BT, 1, tokens + 2) * inside_BT).view(np.int64)
        return Ranks(rank_B, powers[leaf_BT.sum(axis=1)], hash_instances(operators_B2))

    def _inside(self, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each position is in the expression, (B, T)."""
        after_BT = tokens >= self.p + len(OPERATORS)
        inside_BT: NDArray[np.bool_] = np.arange(tokens.shape[1]) < after_BT.argmax(axis=1)[:, None]
        return inside_BT

    def floor(self, role: str) -> float | None:
        """Return 0 for answers, `end` and `pause`; for `operator` and `coefficient` add the surprisal of the kind of node.

        An operator, and the first coefficient of a leaf, also reveal whether the node is a leaf. With P = P(leaf | prefix) by
        enumeration of all shapes of trees (None above 6 operations), `operator` has ln 4 plus the mean of -ln(1 - P), and
        `coefficient` has ln p plus 1/k of the mean of -ln P. Nothing predicts the first token of a sequence.
        """
        number = self.role(role)
        if number not in (OPERATOR, COEFFICIENT):
            return None if number == 0 else 0.0
        if self.operations[1] > _ENUMERATED:
            return None
        operator_nats, leaf_nats = mean_surprisal(*self.operations)
        if number == COEFFICIENT:
            return float(np.log(self.p) + leaf_nats / self.k)
        return float(np.log(len(OPERATORS)) + operator_nats) if self.operations[1] > 1 else 0.0

    def optimum(self, tokens: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Compute the loss as in `floor` on the expression, and 0 on later tokens; None above 6 operations."""
        if self.operations[1] > _ENUMERATED:
            return None
        nats = np.zeros(tokens.shape)
        for row, end in enumerate(self._inside(tokens).sum(axis=1).tolist()):
            nats[row, :end] = expression_surprisal(tokens[row, :end], self.p, self.k, *self.operations)
        return nats

    def chance(self, role: str) -> float | None:
        """Return 1/4 for `operator` and 1/p for `coefficient`; the coefficients of answers are not uniform."""
        return {OPERATOR: 1 / len(OPERATORS), COEFFICIENT: 1 / self.p}.get(self.role(role))

    def variants(self) -> dict[str, Task]:
        if self.test_operations is None:
            return {}
        low, high = self.test_operations
        return {f"m{m}": replace(self, operations=(m, m), test_operations=None) for m in range(low, high + 1)}

    def contrast(self, batch: Batch) -> Contrast:
        """Change a coefficient of one leaf; the answer is the first coefficient of the value that changes.

        Expressions in which none of the tried changes changes the value, as in 0 times 0, are left out.
        """
        return change_coefficient(batch.tokens, batch.answer[:, 0], self.p, self.k)

    def latents(self, batch: Batch) -> Mapping[str, NDArray[np.generic]]:
        """Return `value i`, coefficient i of the largest subexpression that ends here, and `result i`, that of the whole.

        A result is known from the end of the expression on.
        """
        reading = read(batch.tokens, self.p, self.k)
        known_BT = np.arange(batch.tokens.shape[1]) >= reading.end_B[:, None] - 1
        values = {f"value {i}": reading.value_BTK[:, :, i] for i in range(self.k)}
        return values | {f"result {i}": np.where(known_BT, reading.result_BK[:, i, None], -1) for i in range(self.k)}

    def consistent(self, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each coefficient of the answer is right, which depends on the expression alone."""
        reading, row_B1 = read(tokens, self.p, self.k), np.arange(len(tokens))[:, None]
        answer_BK = reading.end_B[:, None] + self.pause + 1 + np.arange(self.k)
        consistent_BT = np.ones(tokens.shape, dtype=np.bool_)
        consistent_BT[row_B1, answer_BK] = tokens[row_B1, answer_BK] == reading.result_BK
        return consistent_BT

    def solve(self, prompt: NDArray[np.int64]) -> NDArray[np.int64]:
        self.check_ids(prompt)
        *expression, equals = prompt.tolist() or [-1]
        pauses = [self.p + len(OPERATORS)] * self.pause
        expression, found = expression[: len(expression) - self.pause], expression[len(expression) - self.pause :]
        if equals != self.p + len(OPERATORS) + 1 or found != pauses:
            raise TaskError(f"polynomial: a prompt ends in {self.pause} pause tokens and =")
        kinds, leaves = text.check_nodes(self._nodes(expression), self.p, self.k)
        return evaluate(kinds, leaves, self.p)

    def _nodes(self, tokens: Sequence[int]) -> list[text.Node]:
        """Return the nodes of an expression, given its tokens: one for an operator, k for a leaf."""
        nodes: list[text.Node] = []
        while tokens:
            is_leaf = tokens[0] < self.p
            nodes.append(tuple(tokens[: self.k]) if is_leaf else self.word(tokens[0]))
            tokens = tokens[self.k if is_leaf else 1 :]
        return nodes

    def format(self, row: Batch) -> str:
        """Write `* o 2,1 0,2 1,1 = 2,1`: prefix notation, with the lowest degree of a leaf first."""
        begin, end = row.answer[0].tolist()
        nodes = self._nodes(row.tokens[0, : begin - 1 - self.pause].tolist())
        return f"{' '.join(map(text.write_node, nodes))} = {text.write_node(tuple(row.tokens[0, begin:end].tolist()))}"

    def parse(self, line: str) -> Batch:
        expression, equals, answer = line.partition("=")
        if not equals:
            raise TaskError(f"polynomial: {shown(line.strip())} is not an expression, =, and its value")
        kinds, leaves = text.check_nodes(text.read_nodes(expression, self.p, self.k), self.p, self.k)
        low, high = self.operations
        operations = int((kinds != LEAF).sum())
        require(low <= operations <= high, "polynomial: the number of operations", operations, f"between {low} and {high}")
        value = evaluate(kinds, leaves, self.p)
        stated, right = text.read_leaf(answer.strip(), self.p, self.k), tuple(value.tolist())
        subject = f"polynomial: the value of {expression.strip()}"
        require(stated == right, subject, text.write_node(stated), text.write_node(right))
        return self._build(kinds[None], leaves[None], value[None])

    def _build(self, kind_BN: NDArray[np.int64], leaves_BNK: NDArray[np.int64], value_BK: NDArray[np.int64]) -> Batch:
        """Build sequences, given nodes in prefix order and values.

        An operator is one token, a leaf k tokens, and a missing node (kind -1) none.
        """
        shape = len(kind_BN), self.length
        is_leaf_BN1 = (kind_BN == LEAF)[:, :, None]
        tokens_BNK = np.where(is_leaf_BN1, leaves_BNK, self.p + kind_BN[:, :, None])
        used_BNK = is_leaf_BN1 | ((kind_BN >= 0)[:, :, None] & (np.arange(self.k) == 0))
        expression_B1 = used_BNK.sum(axis=(1, 2))[:, None]  # its tokens
        tokens, roles = np.full(shape, self.vocab_size - 1), np.zeros(shape, dtype=np.int8)
        inside_BT = np.arange(self.length) < expression_B1
        tokens[inside_BT] = tokens_BNK[used_BNK]  # both sides in row-major order
        roles[inside_BT] = np.where(tokens[inside_BT] < self.p, COEFFICIENT, OPERATOR)
        row_B1, tail_BS = np.arange(len(kind_BN))[:, None], expression_B1 + np.arange(self._tail)
        roles[row_B1, tail_BS] = [PAUSE] * (self.pause + 1) + list(range(END + 1, END + 1 + self.k)) + [END]
        tokens[row_B1, tail_BS[:, : self.pause + 1]] = self.p + len(OPERATORS) + np.array([0] * self.pause + [1])
        tokens[row_B1, tail_BS[:, self.pause + 1 : -1]] = value_BK
        begin_B1 = expression_B1 + self.pause + 1
        return self.rows(tokens, roles, np.concatenate([begin_B1, begin_B1 + self.k], axis=1))
