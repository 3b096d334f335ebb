"""Count and rank unordered pairs of numbers in blocks.

The pairs of a block have equal or different numbers, and a larger number with so many digits. Shapes: B pairs, P places, lowest
first, D numbers of digits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.core.splits import hash_instances
from tasks.core.strata import Ranks, ranked_size

_MOST_RANKED_DIGITS = 8
"""Most digits of numbers that have a rank: there are too many longer ones."""


def block_sizes(digits: int) -> tuple[int, int]:
    """Count the pairs of equal and of different numbers whose larger number has this many digits (0 has one)."""
    below, least = 10**digits, 10 ** (digits - 1) if digits > 1 else 0
    return below - least, (below * (below - 1) - least * (least - 1)) // 2


def rank_pairs(first_BP: NDArray[np.int64], second_BP: NDArray[np.int64]) -> Ranks:
    """Rank pairs within their blocks, by the larger and then the smaller number.

    Args:
        first_BP: Digits of the first numbers, padded with 0.
        second_BP: Digits of the second numbers, padded with 0.
    """
    place_P = np.arange(first_BP.shape[1])
    digits_B = np.maximum(1, ((np.maximum(first_BP, second_BP) > 0) * (place_P + 1)).max(axis=1))
    one_B, other_B = (digits_BP @ 10 ** np.minimum(place_P, _MOST_RANKED_DIGITS) for digits_BP in (first_BP, second_BP))
    low_B, high_B = np.minimum(one_B, other_B), np.maximum(one_B, other_B)
    least_B = 10 ** np.minimum(digits_B - 1, _MOST_RANKED_DIGITS) * (digits_B > 1)  # the least number with so many digits
    equal_B = (first_BP == second_BP).all(axis=1)
    rank_B = np.where(equal_B, high_B - least_B, high_B * (high_B - 1) // 2 + low_B - least_B * (least_B - 1) // 2)
    size_D2 = np.array([[ranked_size(size) for size in block_sizes(digits)] for digits in range(len(place_P) + 1)])
    block_B2 = np.stack([digits_B, equal_B], axis=1)
    return Ranks(rank_B, size_D2[digits_B, 1 - equal_B], hash_instances(block_B2))
