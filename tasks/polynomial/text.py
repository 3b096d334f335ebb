"""Write and read expressions in prefix notation, `* o 2,1 0,2 1,1`, with exact errors for wrong ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.errors import TaskError, shown
from tasks.polynomial.expressions import BINARY, LEAF, OPERATORS
from tasks.settings import number_below

Node = str | tuple[int, ...]
"""An operator, or the coefficients of a leaf."""


def write_node(node: Node) -> str:
    """Write an operator, or the coefficients of a leaf with commas between."""
    return node if isinstance(node, str) else ",".join(map(str, node))


def read_nodes(expression: str, p: int, k: int) -> list[Node]:
    """Read the nodes of an expression; `check_nodes` checks whether they are one expression.

    Raises:
        TaskError: For a word that is neither an operator nor k coefficients below p.
    """
    return [word if word in OPERATORS else read_leaf(word, p, k) for word in expression.split()]


def read_leaf(word: str, p: int, k: int) -> tuple[int, ...]:
    """Read k coefficients below p.

    Raises:
        TaskError: For any other word.
    """
    words = word.split(",")
    numbers = [number for each in words if (number := number_below(each, p)) is not None]
    if not len(numbers) == len(words) == k:
        what = f"{k} coefficients below {p} with commas between"
        raise TaskError(f"polynomial: {shown(word)} is neither an operator ({', '.join(OPERATORS)}) nor {what}")
    return tuple(numbers)


def check_nodes(nodes: list[Node], p: int, k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the kinds (N,) and leaves (N, k) of the nodes of an expression.

    Raises:
        TaskError: Unless the nodes are exactly one expression, whose leaves have k coefficients below p.
    """
    kinds = np.full(len(nodes), LEAF)
    leaves = np.zeros((len(nodes), k), dtype=np.int64)
    missing = 1  # operands
    for number, node in enumerate(nodes):
        if missing == 0:
            raise TaskError(f"polynomial: {write_node(node)} follows the end of the expression")
        if isinstance(node, str):
            if node not in OPERATORS:
                raise TaskError(f"polynomial: {node!r} cannot occur within an expression")
            kinds[number] = list(OPERATORS).index(node)
            missing += int(BINARY[kinds[number]])
        else:
            if len(node) != k or max(node) >= p:
                raise TaskError(f"polynomial: a leaf has {k} coefficients below {p}, not {write_node(node)}")
            leaves[number] = node
            missing -= 1
    if missing:
        raise TaskError(f"polynomial: the expression lacks {missing} operand{'s' * (missing > 1)}")
    return kinds, leaves
