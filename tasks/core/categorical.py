"""Discrete distributions, many at once, and the chains whose steps they are. Shapes: R distributions over V outcomes.

Two ways to draw. `steps` and `chosen` cost nothing to prepare and V comparisons a draw: for few outcomes, or distributions that
are used for one batch. `aliases` and `aliased` take V passes to prepare, and then draw in constant time, without a branch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Aliases = tuple[NDArray[np.float64], NDArray[np.int64]]


def steps(chances_RV: NDArray[np.float64]) -> NDArray[np.float64]:
    """The distribution function of each distribution without its last step, which is 1: (V - 1, R), for `chosen`."""
    return np.ascontiguousarray(np.cumsum(chances_RV, axis=1)[:, :-1].T)


def chosen(steps_VR: NDArray[np.float64], row_B: NDArray[np.int64], uniform_B: NDArray[np.float64]) -> NDArray[np.int64]:
    """One draw from each of the chosen distributions, (B,): how many steps do not lie above the uniform number.

    Args:
        steps_VR: As `steps` makes them.
        row_B: Which distribution each draw is from.
        uniform_B: Uniform numbers from 0 to 1, 1 excluded.
    """
    outcome_B: NDArray[np.int64] = (steps_VR.take(row_B, axis=1) <= uniform_B).sum(axis=0)
    return outcome_B


def quantised(chances_RV: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distributions in multiples of 2^-32 with the sum 1 exactly, which the last bits of the given chances do not change.

    Chances that a machine computes otherwise in the last bit would else change which of two equal columns `aliases` fills
    first, and with it many draws.
    """
    parts_RV = np.rint(chances_RV * 2.0**32)
    largest_R1 = parts_RV.argmax(axis=1)[:, None]
    left_R1 = 2.0**32 - parts_RV.sum(axis=1, keepdims=True)
    np.put_along_axis(parts_RV, largest_R1, np.take_along_axis(parts_RV, largest_R1, axis=1) + left_R1, axis=1)
    return np.asarray(parts_RV / 2.0**32)


def aliases(chances_RV: NDArray[np.float64]) -> Aliases:
    """Tables for `aliased` (Walker's method): V columns, each full with its own outcome and at most one other.

    Returns:
        The share of column v of distribution r that its own outcome has, (R V,); and the other outcome and then its own,
        of each distribution and column, (2 R V,).
    """
    rows, columns = chances_RV.shape
    row_R = np.arange(rows)
    load_RV = chances_RV * columns  # of every column; when all is done, each holds 1
    own_RV = np.ones(chances_RV.shape)
    outcomes_RV2 = np.tile(np.arange(columns)[:, None], (rows, 1, 2))
    for _ in range(columns - 1):  # the fullest column fills the emptiest
        emptiest_R, fullest_R = load_RV.argmin(axis=1), load_RV.argmax(axis=1)
        own_RV[row_R, emptiest_R] = load_RV[row_R, emptiest_R]
        outcomes_RV2[row_R, emptiest_R, 0] = fullest_R
        load_RV[row_R, fullest_R] -= 1 - load_RV[row_R, emptiest_R]
        load_RV[row_R, emptiest_R] = 1
    return own_RV.ravel(), outcomes_RV2.ravel()


def aliased(tables: Aliases, cell_B: NDArray[np.int64], uniform_B: NDArray[np.float64]) -> NDArray[np.int64]:
    """One draw from each of the chosen distributions, (B,).

    Args:
        tables: As `aliases` makes them.
        cell_B: r V + v for a draw from distribution r, with v uniform from 0 to V - 1.
        uniform_B: Uniform numbers from 0 to 1, 1 excluded.
    """
    own, outcomes = tables
    return outcomes.take(2 * cell_B + (uniform_B < own.take(cell_B)))


def stationary(chances_VV: NDArray[np.float64]) -> NDArray[np.float64]:
    """The distribution (V,) that a step of an irreducible chain does not change: pi P = pi, with the sum 1."""
    equations_VV = chances_VV.T - np.eye(len(chances_VV))
    equations_VV[-1] = 1  # one of the equations follows from the others; the sum takes its place
    solution_V = np.linalg.solve(equations_VV, np.eye(len(chances_VV))[-1])
    return np.asarray(np.maximum(solution_V, 0) / np.maximum(solution_V, 0).sum())


def entropies(chances_RV: NDArray[np.float64]) -> NDArray[np.float64]:
    """The entropy of each distribution in nats, (R,)."""
    logs_RV = np.log(chances_RV, where=chances_RV > 0, out=np.zeros_like(chances_RV))
    return np.asarray(-(chances_RV * logs_RV).sum(axis=1))
