"""Linear probes in closed form: ridge regression for vectors, a linear discriminant for classes.

Both follow from one eigendecomposition of the covariance of the states, which all targets of the same states share. Everything
is float64. N states, D width of a state, K numbers of a vector or classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_PENALTIES = 10.0 ** np.arange(-6, 3)
"""Candidate penalties, in units of the mean variance of a direction."""
_LEAST = 1e-12
"""Variance, relative to the largest, below which a direction counts as constant."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """States in the eigenbasis of their covariance.

    Attributes:
        states_ND: The states without their mean, in the eigenbasis.
        mean_D: Mean state, in the original basis.
        variances_D: Eigenvalues of the covariance, in increasing order; 0 for constant directions.
        basis_DD: Eigenvectors, as columns.
    """

    states_ND: Floats
    mean_D: Floats
    variances_D: Floats
    basis_DD: Floats

    @property
    def penalties(self) -> Floats:
        """Candidate penalties, in units of variance."""
        return _PENALTIES * (self.variances_D.mean() or 1.0)


@dataclass(frozen=True, eq=False)
class Linear:
    """An affine map from states to K numbers.

    Attributes:
        weights_DK: In the original basis of the states.
        bias_K: The constants.
        penalty: The chosen one, in units of variance.
    """

    weights_DK: Floats
    bias_K: Floats
    penalty: float

    def __call__(self, states_MD: NDArray[np.floating]) -> Floats:
        """Map states (M, D) to (M, K)."""
        mapped: Floats = states_MD @ self.weights_DK + self.bias_K
        return mapped


def decompose(states_ND: NDArray[np.floating]) -> Spectrum:
    """Compute the eigendecomposition of the covariance of states: the part of a probe that does not depend on its target."""
    states = states_ND.astype(np.float64)
    mean_D = states.mean(axis=0)
    states -= mean_D
    variances_D, basis_DD = np.linalg.eigh(states.T @ states / len(states))
    variances_D[variances_D <= _LEAST * variances_D[-1]] = 0.0
    return Spectrum(states @ basis_DD, mean_D, variances_D, basis_DD)


def fit_ridge(spectrum: Spectrum, targets_NK: Floats) -> Linear:
    """Fit a ridge regression; the penalty is chosen by generalised cross-validation on the same states.

    Args:
        spectrum: Of the N states.
        targets_NK: A vector for each state.
    """
    mean_K = targets_NK.mean(axis=0)
    covariance_DK = spectrum.states_ND.T @ (targets_NK - mean_K) / len(targets_NK)
    penalty = choose_penalty(spectrum, covariance_DK, float(targets_NK.var(axis=0).sum()))
    weights_DK = spectrum.basis_DD @ (covariance_DK / (spectrum.variances_D + penalty)[:, None])
    return Linear(weights_DK, mean_K - spectrum.mean_D @ weights_DK, penalty)


def fit_discriminant(spectrum: Spectrum, labels_N: NDArray[np.int64], classes: int) -> Linear:
    """Fit a regularised linear discriminant: the class with the largest of the K numbers is the prediction.

    The classes are taken as Gaussians of one covariance, that within classes plus the penalty (Friedman 1989). It is the ridge
    regression A C' P of one-hot labels, followed by the nearest class mean among its fitted values (Hastie et al. 1995,
    "Penalized discriminant analysis"): with the inverse A of the total covariance plus the penalty, centred class means C and
    class frequencies P, Woodbury's identity gives the weights A C' (1 - P C A C')^-1. The penalty is the regression's choice.

    Args:
        spectrum: Of the N states.
        labels_N: The class of each, from 0 to `classes` - 1.
        classes: K; those without a state are never predicted.
    """
    seen, labels_N, counts = np.unique(labels_N, return_inverse=True, return_counts=True)
    shares_C = counts / len(labels_N)
    means_DC = spectrum.states_ND.T @ np.eye(len(seen))[labels_N] / counts
    penalty = choose_penalty(spectrum, means_DC * shares_C, float(1 - shares_C @ shares_C))
    solved_DC = means_DC / (spectrum.variances_D + penalty)[:, None]
    within_CC = np.eye(len(seen)) - shares_C[:, None] * (means_DC.T @ solved_DC)
    own_DC = np.linalg.solve(within_CC.T, solved_DC.T).T
    weights_DK, bias_K = np.zeros((len(own_DC), classes)), np.full(classes, -np.inf)
    weights_DK[:, seen] = spectrum.basis_DD @ own_DC
    bias_K[seen] = np.log(shares_C) - (means_DC * own_DC).sum(axis=0) / 2 - spectrum.mean_D @ weights_DK[:, seen]
    return Linear(weights_DK, bias_K, penalty)


def choose_penalty(spectrum: Spectrum, covariance_DK: Floats, variance: float) -> float:
    """Choose the penalty of a ridge regression by generalised cross-validation (Golub, Heath, Wahba 1979).

    Args:
        spectrum: Of the N states.
        covariance_DK: Of states in the eigenbasis and targets.
        variance: Of the targets, summed over their K numbers.
    """
    count, variances_D, penalties_P = len(spectrum.states_ND), spectrum.variances_D, spectrum.penalties
    varies = variances_D > 0
    explained_D = (covariance_DK[varies] ** 2).sum(axis=1) / variances_D[varies]
    kept_PD = variances_D[varies] / (variances_D[varies] + penalties_P[:, None])
    residual_P = max(variance - explained_D.sum(), 0.0) + (1 - kept_PD) ** 2 @ explained_D
    freedom_P = 1 - (1 + kept_PD.sum(axis=1)) / count
    return float(penalties_P[np.argmin(residual_P / np.maximum(freedom_P, 1e-9) ** 2)])


def accuracy(probe: Linear, states_MD: NDArray[np.floating], labels_M: NDArray[np.int64]) -> float:
    """Compute the share of states whose class a discriminant finds."""
    return float((probe(states_MD).argmax(axis=1) == labels_M).mean())


def r_squared(probe: Linear, states_MD: NDArray[np.floating], targets_MK: Floats) -> float:
    """Compute the share of the variance of vectors that a regression explains: 1 - its squared error / that of their mean.

    It is negative where the mean of these vectors is the better prediction, and nan for vectors that are all equal.
    """
    error = ((targets_MK - probe(states_MD)) ** 2).sum()
    spread = ((targets_MK - targets_MK.mean(axis=0)) ** 2).sum()
    return float(1 - error / spread) if spread > _LEAST * (targets_MK**2).sum() else float("nan")
