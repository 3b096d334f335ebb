"""List all ways to combine numbers into one, step by step.

Shapes: B lists of K numbers, D derivations (a choice of a pair and an operator at every step), A tokens of the K - 1 equations,
P pairs, O operators.
"""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Equations = NDArray[np.int16]
"""Tokens of many derivations: four numbers have 1152, of 15 tokens each."""

OPERATORS = "+-*/"
EQUALS = 0
"""Id of the token `=`; a number is its own id, and those of the operators follow the largest number."""
TOKENS = 5
"""Tokens of an equation such as `8 - 3 = 5`."""


def calculate(a: Ints, b: Ints, limit: int) -> Ints:
    """Compute a + b, a - b, a * b and a / b.

    Args:
        a: Numbers of any shape; 0 for no number.
        b: Numbers of the same shape.
        limit: Largest number allowed.

    Returns:
        The four results along a new last axis; 0 where a result is not a whole number from 1 to `limit`.
    """
    results = np.stack([a + b, a - b, a * b, np.where(a % np.maximum(b, 1) == 0, a // np.maximum(b, 1), 0)], axis=-1)
    allowed = (np.minimum(a, b)[..., None] > 0) & (results > 0) & (results <= limit)
    return np.where(allowed, results, 0)


def derive(numbers_BK: Ints, limit: int) -> Equations:
    """List all derivations: each step replaces two of the numbers by their sum, difference, product or ratio.

    Args:
        numbers_BK: Numbers from 1 to `limit`; 0 for no number.
        limit: Largest number allowed.

    Returns:
        (B, D, A) the equations of each derivation as tokens, with the larger operand first. The last token is the derived
        number, or 0 if a step of the derivation is impossible.
    """
    size, count = numbers_BK.shape
    choices = [comb(remaining, 2) * len(OPERATORS) for remaining in range(count, 1, -1)]
    equations = np.empty((TOKENS * len(choices), size, *choices), dtype=np.int16)
    operator_O = limit + 1 + np.arange(len(OPERATORS))
    left_BDK = numbers_BK[:, None]
    for step, remaining in enumerate(range(count, 1, -1)):
        pairs = list(combinations(range(remaining), 2))
        others = [[i for i in range(remaining) if i not in pair] for pair in pairs]
        pair_BDP2 = left_BDK[:, :, np.array(pairs)]
        a_BDP, b_BDP = pair_BDP2.max(axis=3), pair_BDP2.min(axis=3)
        result_BDPO = calculate(a_BDP, b_BDP, limit)
        later = [1] * (len(choices) - step - 1)
        parts = (a_BDP[..., None], operator_O, b_BDP[..., None], np.array(EQUALS), result_BDPO)
        for column, part in enumerate(parts, start=TOKENS * step):
            equations[column] = np.broadcast_to(part, result_BDPO.shape).reshape(size, *choices[: step + 1], *later)
        rest_BDPK = left_BDK[:, :, np.array(others, dtype=np.int64)]
        rest_BDPOK = np.broadcast_to(rest_BDPK[:, :, :, None], (*result_BDPO.shape, remaining - 2))
        left_BDK = np.concatenate([rest_BDPOK, result_BDPO[..., None]], axis=4).reshape(size, -1, remaining - 1)
    return np.moveaxis(equations.reshape(len(equations), size, -1), 0, 2)
