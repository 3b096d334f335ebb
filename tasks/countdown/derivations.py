"""List all ways to combine numbers into one, step by step, and the entropies and frequencies of their tokens.

Shapes: B or M lists of K numbers, D derivations of a list (a choice of a pair and an operator at every step), A tokens of the
K - 1 equations, P pairs, O operators, N possible derivations of all lists, T positions, V token ids, G groups.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations, combinations_with_replacement
from math import comb, factorial, prod
from typing import NamedTuple

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
_MOST_DERIVATIONS = 400_000
"""Most derivations of all lists of given numbers at which floors and instances are enumerated."""


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


class Every(NamedTuple):
    """Facts about all derivations of all lists of given numbers.

    Attributes:
        instances: (instances, K + 1) int64, each list of given numbers in increasing order with each of its targets.
        entropy_T: Entropy of each token given those before it, nats.
        share_TV: Probability of each token at each position.
    """

    instances: Ints
    entropy_T: NDArray[np.float64]
    share_TV: NDArray[np.float64]


@lru_cache(maxsize=16)
def enumerate_derivations(count: int, largest: int, limit: int) -> Every | None:
    """Enumerate the derivations of all lists of given numbers; return None if there are more than `_MOST_DERIVATIONS`.

    Args:
        count: K, numbers of a list.
        largest: Largest given number.
        limit: Largest number allowed.
    """
    derivations = prod(comb(left, 2) * len(OPERATORS) for left in range(2, count + 1))
    if comb(largest + count - 1, count) * derivations > _MOST_DERIVATIONS:
        return None
    given_MK = np.array(list(combinations_with_replacement(range(1, largest + 1), count)))
    orders_M = [factorial(count) // prod(map(factorial, np.unique(row, return_counts=True)[1].tolist())) for row in given_MK]
    equations_MDA = derive(given_MK, limit)
    possible_MD = equations_MDA[:, :, -1] > 0
    chance_MD = possible_MD * (np.array(orders_M) / largest**count / possible_MD.sum(axis=1))[:, None]
    group_N, chance_N = np.nonzero(possible_MD)[0], chance_MD[possible_MD]
    columns = [*given_MK[group_N].T, equations_MDA[possible_MD][:, -1], *equations_MDA[possible_MD].T]
    nats = [_entropy(group_N, chance_N)]
    for column_N in columns[count:]:
        group_N = np.unique(group_N * (limit + 6) + column_N, return_inverse=True)[1].ravel()
        nats.append(_entropy(group_N, chance_N))
    shares = [np.bincount(column_N, weights=chance_N, minlength=limit + 5) for column_N in columns]
    share_TV: NDArray[np.float64] = np.stack(shares)
    share_TV[:count] = share_TV[:count].mean(axis=0)  # given numbers come in any order
    return Every(
        instances=np.unique(np.stack(columns[: count + 1], axis=1), axis=0),
        entropy_T=np.concatenate([np.full(count, np.log(largest)), np.diff(nats)]),
        share_TV=share_TV,
    )


def _entropy(group_N: Ints, chance_N: NDArray[np.float64]) -> float:
    """Compute the entropy of a partition into groups, nats."""
    chance_G = np.bincount(group_N, weights=chance_N)
    return float(-(chance_G * np.log(chance_G)).sum())
