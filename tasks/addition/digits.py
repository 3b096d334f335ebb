"""The digits of a written sum, lowest place first. Shapes: B sequences, T positions, P places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PLUS, EQUALS, STOP = 10, 11, 12
"""Tokens after the ten digits."""


def count_digits(tokens: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the digits of each operand, (B,), in sequences (B, T); 0 without a plus where one can be."""
    digits_B: NDArray[np.int64] = (tokens[:, : (tokens.shape[1] - 1) // 3] == PLUS).argmax(axis=1)
    return digits_B


def read_operands(tokens: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Read the digits (B, P) of the two numbers in sequences (B, T), padded with 0."""
    digits_B1 = count_digits(tokens)[:, None]
    place = np.arange((tokens.shape[1] - 4) // 3)

    def digits(end_B1: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.where(place < digits_B1, np.take_along_axis(tokens, end_B1 - place, axis=1), 0)

    return digits(digits_B1 - 1), digits(2 * digits_B1)  # positions of their units


def carries(sums_BP: NDArray[np.int64]) -> NDArray[np.int64]:
    """Compute the carry into each place, (B, P), from the sum of the operands' digits at each."""
    carry_BP = np.zeros_like(sums_BP)
    for place in range(sums_BP.shape[1] - 1):
        carry_BP[:, place + 1] = (sums_BP[:, place] + carry_BP[:, place]) // 10
    return carry_BP
