"""Linear probes, compared with planted directions, Bayes-optimal classifiers, and formulas written out."""

import math

import numpy as np
import pytest

from lab.interp.linear import accuracy, choose_penalty, decompose, fit_discriminant, fit_ridge, r_squared

N, D = 400, 12


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_a_planted_direction_is_recovered() -> None:
    states, planted = normal(2 * N, D) @ normal(D, D, seed=1) + 3.0, normal(D, 2, seed=2)
    vectors = states @ planted + [5.0, -1.0]
    probe = fit_ridge(decompose(states[:N]), vectors[:N])
    np.testing.assert_allclose(probe.weights_DK, planted, atol=1e-3)
    assert r_squared(probe, states[N:], vectors[N:]) > 1 - 1e-8


@pytest.mark.parametrize("noise", [0.5, 1.0, 2.0])
def test_a_noisy_vector_has_its_known_r_squared(noise: float) -> None:
    states, direction = normal(20_000, D), normal(D, 1, seed=1)
    direction /= np.linalg.norm(direction)
    vectors = states @ direction + noise * normal(20_000, 1, seed=2)
    probe = fit_ridge(decompose(states[:10_000]), vectors[:10_000])
    assert r_squared(probe, states[10_000:], vectors[10_000:]) == pytest.approx(1 / (1 + noise**2), abs=0.02)


def test_ridge_solves_its_normal_equations() -> None:
    states, vectors = normal(30, D) @ normal(D, D, seed=1), normal(30, 3, seed=2)
    probe = fit_ridge(decompose(states), vectors)
    centred = states - states.mean(0)
    expected = np.linalg.solve(centred.T @ centred / 30 + probe.penalty * np.eye(D), centred.T @ vectors / 30)
    np.testing.assert_allclose(probe.weights_DK, expected, atol=1e-9)
    np.testing.assert_allclose(probe(states).mean(0), vectors.mean(0))


@pytest.mark.parametrize("rows", [8, 40])
def test_the_penalty_minimises_generalised_cross_validation(rows: int) -> None:
    states, vectors = normal(rows, D), normal(rows, 2, seed=2)
    vectors[:, 0] += states[:, 0]
    spectrum = decompose(states)
    centred, expected = states - states.mean(0), vectors - vectors.mean(0)

    def criterion(penalty: float) -> float:
        hat = centred @ np.linalg.solve(centred.T @ centred + rows * penalty * np.eye(D), centred.T) + 1 / rows
        return float(((expected - hat @ expected) ** 2).sum() / (1 - np.trace(hat) / rows) ** 2)

    chosen = choose_penalty(spectrum, spectrum.states_ND.T @ expected / rows, float(vectors.var(axis=0).sum()))
    assert criterion(chosen) == pytest.approx(min(map(criterion, spectrum.penalties)))
    assert 0 < spectrum.penalties.tolist().index(chosen) < len(spectrum.penalties) - 1 or rows == 8


def test_the_discriminant_is_that_of_a_shared_covariance() -> None:
    labels = np.random.default_rng(0).integers(4, size=N)
    states = normal(N, D) @ normal(D, D, seed=1) + normal(4, D, seed=2)[labels]
    probe = fit_discriminant(decompose(states), labels, classes=4)
    means = np.stack([states[labels == each].mean(0) for each in range(4)])
    within = sum(np.cov(states[labels == each].T, bias=True) * (labels == each).mean() for each in range(4))
    inverse = np.linalg.inv(within + probe.penalty * np.eye(D))
    squares = np.stack([((states - mean) @ inverse * (states - mean)).sum(1) for mean in means], axis=1)
    expected = np.log(np.bincount(labels) / N) - squares / 2
    found = probe(states)
    np.testing.assert_allclose(found - found[:, :1], expected - expected[:, :1], atol=1e-8)


def test_two_gaussians_are_classified_as_well_as_possible() -> None:
    labels = np.random.default_rng(0).integers(2, size=20_000)
    mixing = normal(D, D, seed=1)
    states = (normal(20_000, D) + np.where(labels, 1.5, 0.0)[:, None] * np.eye(D)[0]) @ mixing
    probe = fit_discriminant(decompose(states[:10_000]), labels[:10_000], classes=2)
    best = (1 + math.erf(0.75 / math.sqrt(2))) / 2
    assert accuracy(probe, states[10_000:], labels[10_000:]) == pytest.approx(best, abs=0.015)


def test_classes_along_a_line_are_all_found() -> None:
    labels = np.arange(N) % 5
    states = 0.05 * normal(N, D) + labels[:, None] * normal(1, D, seed=1)
    one_hot = fit_ridge(decompose(states), np.eye(5)[labels])
    assert accuracy(fit_discriminant(decompose(states), labels, 5), states, labels) == 1
    assert accuracy(one_hot, states, labels) < 0.7  # plain regression would mask the classes in the middle


def test_random_labels_are_found_at_chance() -> None:
    states, labels = normal(4000, D), np.random.default_rng(3).integers(8, size=4000)
    probe = fit_discriminant(decompose(states[:2000]), labels[:2000], classes=8)
    assert accuracy(probe, states[2000:], labels[2000:]) == pytest.approx(1 / 8, abs=0.03)
    vectors = normal(4000, 3, seed=4)
    assert abs(r_squared(fit_ridge(decompose(states[:2000]), vectors[:2000]), states[2000:], vectors[2000:])) < 0.02


def test_constant_states_give_the_majority_and_the_mean() -> None:
    states, labels = np.ones((10, D)), np.array([2] * 6 + [0] * 4)
    probe = fit_discriminant(decompose(states), labels, classes=4)
    assert (probe(states).argmax(axis=1) == 2).all()
    regression = fit_ridge(decompose(states), normal(10, 2))
    np.testing.assert_allclose(regression(states)[0], normal(10, 2).mean(0))


def test_equal_vectors_have_no_r_squared() -> None:
    states = normal(20, D)
    probe = fit_ridge(decompose(states), np.ones((20, 1)))
    assert math.isnan(r_squared(probe, states, np.ones((20, 1))))


def test_classes_without_a_state_are_never_predicted() -> None:
    states, labels = normal(40, D), np.arange(40) % 2 * 3
    probe = fit_discriminant(decompose(states), labels, classes=5)
    assert set(probe(30 * normal(50, D, seed=2)).argmax(axis=1)) == {0, 3}
    np.testing.assert_array_equal(probe(states)[:, [0, 3]], fit_discriminant(decompose(states), labels // 3, 2)(states))
