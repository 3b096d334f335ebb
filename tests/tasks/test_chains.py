import numpy as np
import pytest
from scipy import stats

from tasks.chains import chosen, entropies, stationary, steps


def test_draws_follow_each_of_the_distributions() -> None:
    chances = np.array([[0.1, 0.2, 0.7], [0.0, 0.9, 0.1], [0.5, 0.0, 0.5]])
    rng = np.random.default_rng(0)
    row = rng.integers(3, size=30_000)
    drawn = chosen(steps(chances), row, rng.random(30_000))
    for number, law in enumerate(chances):
        counts = np.bincount(drawn[row == number], minlength=3)
        assert (counts[law == 0] == 0).all()
        assert stats.chisquare(counts[law > 0], counts.sum() * law[law > 0]).pvalue > 1e-3


def test_a_draw_is_the_outcome_whose_step_holds_the_uniform_number() -> None:
    edges = steps(np.array([[0.25, 0.5, 0.25]]))
    uniform = np.array([0.0, 0.2499, 0.25, 0.7499, 0.75, np.nextafter(1.0, 0.0)])
    np.testing.assert_array_equal(chosen(edges, np.zeros(6, dtype=np.int64), uniform), [0, 0, 1, 1, 2, 2])


def test_the_stationary_distribution_is_the_first_left_eigenvector() -> None:
    chain = np.random.default_rng(1).dirichlet(np.full(7, 0.3), size=7)
    values, vectors = np.linalg.eig(chain.T)
    leading = np.real(vectors[:, np.argmax(np.real(values))])
    np.testing.assert_allclose(stationary(chain), leading / leading.sum(), atol=1e-12)
    np.testing.assert_allclose(stationary(chain) @ chain, stationary(chain), atol=1e-12)


def test_entropies_agree_with_scipy_and_nothing_counts_nothing() -> None:
    chances = np.array([[0.1, 0.2, 0.7], [0.0, 1.0, 0.0], [0.5, 0.0, 0.5]])
    np.testing.assert_allclose(entropies(chances), [stats.entropy(law) for law in chances])
    assert entropies(chances)[2] == pytest.approx(np.log(2))
