"""Discrete distributions, many at once, and the chains whose steps they are. Shapes: R distributions over V outcomes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def steps(chances_RV: NDArray[np.float64]) -> NDArray[np.float64]:
    """The distribution function of each distribution without its last step, which is 1: (V - 1, R), for `chosen`."""
    return np.ascontiguousarray(np.cumsum(chances_RV, axis=1)[:, :-1].T)


def chosen(steps_VR: NDArray[np.float64], row_B: NDArray[np.int64], uniform_B: NDArray[np.float64]) -> NDArray[np.int64]:
    """One draw from each of the chosen distributions, (B,): how many steps do not lie above the uniform number.

    Of few outcomes, comparing with every step is several times faster than a binary search, whose branches none can predict.

    Args:
        steps_VR: As `steps` makes them.
        row_B: Which distribution each draw is from.
        uniform_B: Uniform numbers from 0 to 1, 1 excluded.
    """
    outcome_B: NDArray[np.int64] = (steps_VR.take(row_B, axis=1) <= uniform_B).sum(axis=0)
    return outcome_B


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
