"""Draw random trees of operations on polynomials for a batch, and compute their values and probabilities.

A tree is a list of nodes in prefix order. Shapes: B trees, N nodes, R operations, K coefficients, lowest degree first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import comb, inf, log

import numpy as np
from numpy.typing import NDArray

from tasks.core.strata import capped_power

Ints = NDArray[np.int64]


def negate(first: Ints, _: Ints, p: int) -> Ints:
    """Compute -a modulo p."""
    return -first % p


def add(first: Ints, second: Ints, p: int) -> Ints:
    """Compute a + b modulo p."""
    return (first + second) % p


def multiply(first: Ints, second: Ints, p: int) -> Ints:
    """Compute a b modulo X^K and p."""
    product = np.zeros_like(first)
    width = first.shape[-1]
    for degree in range(width):
        product[..., degree:] += first[..., degree : degree + 1] * second[..., : width - degree]
    return product % p


def compose(first: Ints, second: Ints, p: int) -> Ints:
    """Compute a(b(X)) modulo X^K and p for representatives of degree below K, by Horner's rule."""
    value = np.zeros_like(first)
    value[..., 0] = first[..., -1]
    for degree in reversed(range(first.shape[-1] - 1)):
        value = multiply(value, second, p)
        value[..., 0] = (value[..., 0] + first[..., degree]) % p
    return value


OPERATORS: dict[str, Callable[[Ints, Ints, int], Ints]] = {"neg": negate, "+": add, "*": multiply, "o": compose}
"""Functions of two operands (..., K) and p, by the word of the operator."""
LEAF = len(OPERATORS)
"""The kind of a leaf; the kind of an operation is its index in OPERATORS, and that of a missing node is -1."""
BINARY = np.array([name != "neg" for name in OPERATORS] + [False])
"""Whether a node of each kind has two operands; the only other operation, `neg`, ignores the second."""


def operate(kind_R: Ints, first_RK: Ints, second_RK: Ints, p: int) -> Ints:
    """Compute the value of each operation on its operands, (R, K)."""
    value_RK = np.empty_like(first_RK)
    for number, operator in enumerate(OPERATORS.values()):
        chosen = np.flatnonzero(kind_R == number)
        value_RK[chosen] = operator(first_RK[chosen], second_RK[chosen], p)
    return value_RK


def evaluate(kinds: Ints, leaves: Ints, p: int) -> Ints:
    """Compute the value (K,) of one expression, reading it backwards so that operands precede their operators.

    Args:
        kinds: (N,) kind of each node, in prefix order.
        leaves: (N, K) coefficients of leaves; unused for operators.
        p: Modulus of the coefficients.
    """
    stack: list[Ints] = []
    for kind, leaf in zip(kinds[::-1], leaves[::-1], strict=True):
        if kind == LEAF:
            stack.append(leaf)
        else:
            first = stack.pop()
            second = stack.pop() if BINARY[kind] else first
            stack.append(operate(kind[None], first[None], second[None], p)[0])
    return stack.pop()


@dataclass(frozen=True)
class Trees:
    """Trees in prefix order; the first operand of a node is the next node.

    Attributes:
        kind_BN: Kind of each node.
        count_BN: Number of operations in the subtree of each node, itself included; 0 for a leaf, -1 for a missing node.
        second_BN: Index of the second operand of each binary node.
    """

    kind_BN: Ints
    count_BN: Ints
    second_BN: Ints


def draw_trees(rng: np.random.Generator, operations_B: Ints, most: int) -> Trees:
    """Draw random trees.

    Operators are uniform, and the operands of a binary operator divide the remaining operations uniformly. All trees grow in
    parallel, a node at a time, each with a stack of subtrees to write.

    Args:
        rng: Source of randomness.
        operations_B: Number of operations of each tree.
        most: Upper bound on these numbers; N is 2 `most` + 1.
    """
    size, nodes = len(operations_B), 2 * most + 1
    drawn_BN = rng.integers(LEAF, size=(size, nodes))
    share_BN = rng.random((size, nodes))
    kind_BN, count_BN = (np.full((size, nodes), -1) for _ in range(2))
    second_BN = np.zeros((size, nodes + 1), dtype=np.int64)  # the last column is for nodes that are not second operands
    pending = np.zeros((size, most + 2), dtype=np.int64)  # the number of operations of each subtree on the stack
    parent = np.full((size, most + 2), nodes)  # the node whose second operand each of them is
    pending[:, 0] = operations_B
    row, depth_B = np.arange(size), np.ones(size, dtype=np.int64)
    for node in range(nodes):
        alive_B = depth_B > 0
        depth_B -= alive_B
        count_B = np.where(alive_B, pending[row, depth_B], -1)
        second_BN[row, np.where(alive_B, parent[row, depth_B], nodes)] = node
        kind_B = np.where(count_B > 0, drawn_BN[:, node], np.where(alive_B, LEAF, -1))
        kind_BN[:, node], count_BN[:, node] = kind_B, count_B
        binary_B = BINARY[kind_B] & alive_B
        left_B = np.where(binary_B, (share_BN[:, node] * count_B).astype(np.int64), count_B - 1)
        pending[row, depth_B], parent[row, depth_B] = count_B - 1 - left_B, node  # overwritten unless the node is binary
        depth_B += binary_B
        pending[row, depth_B], parent[row, depth_B] = left_B, nodes
        depth_B += count_B > 0
    return Trees(kind_BN, count_BN, second_BN[:, :-1])


@lru_cache(maxsize=16)
def prefix_probabilities(low: int, high: int) -> dict[str, float]:
    """Compute the probability of every prefix of a tree's shape, in letters l(eaf), u(nary), b(inary).

    Args:
        low: Fewest operations of a tree.
        high: Most operations of a tree; numbers between them are equally likely.
    """
    mass: dict[str, float] = defaultdict(float, {"": 1.0})
    for operations in range(low, high + 1):
        for shape, probability in _shapes(operations).items():
            for end in range(1, len(shape) + 1):
                mass[shape[:end]] += probability / (high + 1 - low)
    return dict(mass)


def surprisal(prefix: str, low: int, high: int) -> tuple[float, float]:
    """Compute the surprisal in nats that the next node is an operator, and that it is a leaf, after a prefix of a shape."""
    mass = prefix_probabilities(low, high)
    leaf, operator = mass.get(prefix + "l", 0.0), mass.get(prefix + "u", 0.0) + mass.get(prefix + "b", 0.0)
    operator_nats, leaf_nats = (log((leaf + operator) / share) if share else inf for share in (operator, leaf))
    return operator_nats, leaf_nats


def expression_surprisal(tokens_T: Ints, p: int, k: int, low: int, high: int) -> NDArray[np.float64]:
    """Compute the surprisal in nats of each token of an expression, (T,), whose leaves have k coefficients below p.

    An operator, and the first coefficient of a leaf, also reveal the kind of the node: see `surprisal`.
    """
    nats_T, shape, position = np.zeros(len(tokens_T)), "", 0
    while position < len(tokens_T):
        operator_nats, leaf_nats = surprisal(shape, low, high)
        if tokens_T[position] < p:
            nats_T[position : position + k] = np.log(p)
            nats_T[position] += leaf_nats
            shape, position = shape + "l", position + k
        else:
            nats_T[position] = np.log(len(OPERATORS)) + operator_nats
            shape, position = shape + ("b" if BINARY[tokens_T[position] - p] else "u"), position + 1
    return nats_T


@lru_cache(maxsize=16)
def mean_surprisal(low: int, high: int) -> tuple[float, float]:
    """Compute the mean `surprisal` in nats over all operators, and over all leaves, without the first node of a tree."""
    mass = prefix_probabilities(low, high)
    nats, targets = [0.0, 0.0], [0.0, 0.0]
    for shape, share in mass.items():
        if len(shape) > 1:
            kind = int(shape[-1] == "l")
            nats[kind] += share * surprisal(shape[:-1], low, high)[kind]
            targets[kind] += share
    operator_nats, leaf_nats = (each / max(count, 1e-300) for each, count in zip(nats, targets, strict=True))
    return operator_nats, leaf_nats


@lru_cache(maxsize=16)
def _shapes(operations: int) -> dict[str, float]:
    """Compute the probability of every shape of a tree with so many operations, by its letters in prefix order."""
    if operations == 0:
        return {"l": 1.0}
    shapes: dict[str, float] = defaultdict(float)
    binary = BINARY.sum() / LEAF  # the share of binary operators
    for shape, probability in _shapes(operations - 1).items():
        shapes["u" + shape] += (1 - binary) * probability
    for left in range(operations):
        for first, one in _shapes(left).items():
            for second, other in _shapes(operations - 1 - left).items():
                shapes["b" + first + second] += binary * one * other / operations
    return dict(shapes)


@lru_cache(maxsize=256)
def operator_blocks(operations: int, leaves: int) -> tuple[tuple[int, int], ...]:
    """Count the expressions of each block, which have the same operators in the same order, and the blocks of that size.

    Args:
        operations: Number of operations of an expression.
        leaves: Number of values of a leaf.
    """
    binary = int(BINARY.sum())
    unary = len(OPERATORS) - binary
    blocks = []
    for pairs in range(operations + 1):  # so many binary operators, and one leaf more
        orders = comb(operations + pairs, 2 * pairs) * comb(2 * pairs, pairs) // (pairs + 1)
        blocks.append((capped_power(leaves, pairs + 1), orders * binary**pairs * unary ** (operations - pairs)))
    return tuple(blocks)
