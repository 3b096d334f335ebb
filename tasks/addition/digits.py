"""Read the digits of sums, and compute their carries. Shapes: B sequences, T positions, P places, lowest first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PLUS, EQUALS, STOP = 10, 11, 12
"""Ids of the tokens +, = and end, which follow the ten digits."""


def count_digits(tokens: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the digits of each operand in sequences (B, T), (B,); 0 if no position where + can be has it."""
    digits_B: NDArray[np.int64] = (tokens[:, : (tokens.shape[1] - 1) // 3] == PLUS).argmax(axis=1)
    return digits_B


def read_operands(tokens: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Read the digits of the two operands, (B, P) each, padded with 0, from sequences (B, T)."""
    digits_B1 = count_digits(tokens)[:, None]
    place_P = np.arange((tokens.shape[1] - 4) // 3)

    def read(units_B1: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.where(place_P < digits_B1, np.take_along_axis(tokens, units_B1 - place_P, axis=1), 0)

    return read(digits_B1 - 1), read(2 * digits_B1)


def compute_carries(sums_BP: NDArray[np.int64]) -> NDArray[np.int64]:
    """Compute the carry into each place, (B, P), from the sum of the operands' digits at each place."""
    carry_BP = np.zeros_like(sums_BP)
    for place in range(sums_BP.shape[1] - 1):
        carry_BP[:, place + 1] = (sums_BP[:, place] + carry_BP[:, place]) // 10
    return carry_BP
