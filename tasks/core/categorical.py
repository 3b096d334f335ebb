"""Draw from many categorical distributions at a time, and from Markov chains. Shapes: R distributions over V outcomes, B draws.

There are two ways to draw. `draw_by_steps` needs almost no preparation and V comparisons a draw: use it for few outcomes, or
for distributions that serve one batch. `build_aliases` takes V passes; `draw_by_aliases` then draws in constant time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Aliases = tuple[NDArray[np.float64], NDArray[np.int64]]
"""The two tables that `build_aliases` returns."""


def cumulative_steps(chances_RV: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the cumulative distribution functions without their last value, which is 1: (V - 1, R), for `draw_by_steps`."""
    return np.ascontiguousarray(np.cumsum(chances_RV, axis=1)[:, :-1].T)


def draw_by_steps(
    steps_VR: NDArray[np.float64], distribution_B: NDArray[np.int64], uniform_B: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Draw once from each of the given distributions.

    Args:
        steps_VR: From `cumulative_steps`.
        distribution_B: The distribution of each draw.
        uniform_B: Uniform numbers from 0 to 1, 1 excluded.

    Returns:
        (B,) outcomes: the number of steps that are not above the uniform number.
    """
    outcome_B: NDArray[np.int64] = (steps_VR.take(distribution_B, axis=1) <= uniform_B).sum(axis=0)
    return outcome_B


def quantise(chances_RV: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round distributions to multiples of 2^-32 whose sum is exactly 1.

    Without it a machine that computes a probability differently in the last bit could fill another of two equal columns first
    in `build_aliases`, and with it change many draws.
    """
    units_RV = np.rint(chances_RV * 2.0**32)
    largest_R1 = units_RV.argmax(axis=1)[:, None]
    left_R1 = 2.0**32 - units_RV.sum(axis=1, keepdims=True)
    np.put_along_axis(units_RV, largest_R1, np.take_along_axis(units_RV, largest_R1, axis=1) + left_R1, axis=1)
    return np.asarray(units_RV / 2.0**32)


def build_aliases(chances_RV: NDArray[np.float64]) -> Aliases:
    """Build the tables of Walker's alias method: V columns, each filled by its own outcome and at most one other.

    Returns:
        (R V,) the share of column v of distribution r that belongs to its own outcome; and (2 R V,) the other outcome, then its
        own, of each distribution and column.
    """
    rows, columns = chances_RV.shape
    row_R = np.arange(rows)
    load_RV = chances_RV * columns  # of each column; 1 in the end
    own_RV = np.ones(chances_RV.shape)
    outcomes_RV2 = np.tile(np.arange(columns)[:, None], (rows, 1, 2))
    for _ in range(columns - 1):  # the fullest column fills the emptiest
        emptiest_R, fullest_R = load_RV.argmin(axis=1), load_RV.argmax(axis=1)
        own_RV[row_R, emptiest_R] = load_RV[row_R, emptiest_R]
        outcomes_RV2[row_R, emptiest_R, 0] = fullest_R
        load_RV[row_R, fullest_R] -= 1 - load_RV[row_R, emptiest_R]
        load_RV[row_R, emptiest_R] = 1
    return own_RV.ravel(), outcomes_RV2.ravel()


def draw_by_aliases(tables: Aliases, cell_B: NDArray[np.int64], uniform_B: NDArray[np.float64]) -> NDArray[np.int64]:
    """Draw once from each of the given distributions, (B,).

    Args:
        tables: From `build_aliases`.
        cell_B: r V + v for a draw from distribution r, with v uniform from 0 to V - 1.
        uniform_B: Uniform numbers from 0 to 1, 1 excluded.
    """
    own, outcomes = tables
    return outcomes.take(2 * cell_B + (uniform_B < own.take(cell_B)))


def stationary_distribution(chances_VV: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the stationary distribution (V,) of an irreducible chain: pi P = pi, with the sum 1."""
    equations_VV = chances_VV.T - np.eye(len(chances_VV))
    equations_VV[-1] = 1  # one equation follows from the others; the sum takes its place
    solution_V = np.linalg.solve(equations_VV, np.eye(len(chances_VV))[-1])
    return np.asarray(np.maximum(solution_V, 0) / np.maximum(solution_V, 0).sum())


def entropies(chances_RV: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the entropy of each distribution in nats, (R,)."""
    logs_RV = np.log(chances_RV, where=chances_RV > 0, out=np.zeros_like(chances_RV))
    return np.asarray(-(chances_RV * logs_RV).sum(axis=1))


def find_modes(chances_BTV: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the likeliest outcome of each distribution, (B, T); -1 where several are equally likely or values are nan."""
    second, first = np.moveaxis(np.partition(np.nan_to_num(chances_BTV), [-2, -1], axis=2)[:, :, -2:], 2, 0)
    return np.where(first - second > 1e-6, chances_BTV.argmax(axis=2), -1)
