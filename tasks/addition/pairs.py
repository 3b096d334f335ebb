"""Unordered pairs of numbers, counted and ranked in blocks: equal or different numbers, by the digits of the larger one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.core.splits import hash_instances
from tasks.core.strata import Ranks, ranked_size

_MOST_RANKED_DIGITS = 8
"""Numbers of more digits have no rank: there are too many of them."""


def block_sizes(digits: int) -> tuple[int, int]:
    """Count the pairs, of equal and of different numbers, whose larger number has this many digits (0 has one)."""
    below, least = 10**digits, 10 ** (digits - 1) if digits > 1 else 0
    return below - least, (below * (below - 1) - least * (least - 1)) // 2


def rank_pairs(first_BP: NDArray[np.int64], second_BP: NDArray[np.int64]) -> Ranks:
    """Rank pairs of equal numbers in their order, pairs of different ones by the larger and then the smaller number.

    Args:
        first_BP: (B, P) digits of the first numbers, lowest place first, padded with 0.
        second_BP: The same of the second numbers.
    """
    place = np.arange(first_BP.shape[1])
    digits_B = np.maximum(1, ((np.maximum(first_BP, second_BP) > 0) * (place + 1)).max(axis=1))
    one_B, other_B = (digits_BP @ 10 ** np.minimum(place, _MOST_RANKED_DIGITS) for digits_BP in (first_BP, second_BP))
    low_B, high_B = np.minimum(one_B, other_B), np.maximum(one_B, other_B)
    least_B = 10 ** np.minimum(digits_B - 1, _MOST_RANKED_DIGITS) * (digits_B > 1)  # of the numbers with this many digits
    equal_B = (first_BP == second_BP).all(axis=1)
    rank_B = np.where(equal_B, high_B - least_B, high_B * (high_B - 1) // 2 + low_B - least_B * (least_B - 1) // 2)
    size_D2 = np.array([[ranked_size(size) for size in block_sizes(digits)] for digits in range(place[-1] + 2)])
    block_B2 = np.stack([digits_B, equal_B], axis=1)
    return Ranks(rank_B, size_D2[digits_B, 1 - equal_B], hash_instances(block_B2))
