import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tasks.core.categorical import (
    build_aliases,
    cumulative_steps,
    draw_by_aliases,
    draw_by_steps,
    entropies,
    quantise,
    stationary_distribution,
)


@pytest.mark.parametrize("way", ["steps", "aliases"])
def test_draws_follow_each_of_the_distributions(way: str) -> None:
    chances = np.array([[0.1, 0.2, 0.7], [0.0, 0.9, 0.1], [0.5, 0.0, 0.5]])
    rng = np.random.default_rng(0)
    row = rng.integers(3, size=30_000)
    uniform, column = rng.random(30_000), rng.integers(3, size=30_000)
    drawn = (
        draw_by_steps(cumulative_steps(chances), row, uniform)
        if way == "steps"
        else draw_by_aliases(build_aliases(chances), 3 * row + column, uniform)
    )
    for number, distribution in enumerate(chances):
        counts = np.bincount(drawn[row == number], minlength=3)
        assert (counts[distribution == 0] == 0).all()
        assert stats.chisquare(counts[distribution > 0], counts.sum() * distribution[distribution > 0]).pvalue > 1e-3


def test_draws_invert_the_distribution_function() -> None:
    edges = cumulative_steps(np.array([[0.25, 0.5, 0.25]]))
    uniform = np.array([0.0, 0.2499, 0.25, 0.7499, 0.75, np.nextafter(1.0, 0.0)])
    np.testing.assert_array_equal(draw_by_steps(edges, np.zeros(6, dtype=np.int64), uniform), [0, 0, 1, 1, 2, 2])


@given(st.integers(1, 12), st.floats(0.05, 5), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_alias_tables_have_exactly_the_chances(outcomes: int, alpha: float, seed: int) -> None:
    chances = np.random.default_rng(seed).dirichlet(np.full(outcomes, alpha), size=3)
    own, outcome = build_aliases(chances)
    total = np.zeros(chances.shape)
    for entry, share in enumerate(own):
        total[entry // outcomes, outcome[2 * entry + 1]] += share / outcomes
        total[entry // outcomes, outcome[2 * entry]] += (1 - share) / outcomes
    np.testing.assert_allclose(total, chances, atol=1e-12)
    assert ((own >= 0) & (own <= 1 + 1e-12)).all()


def test_the_stationary_distribution_is_an_eigenvector() -> None:
    chain = np.random.default_rng(1).dirichlet(np.full(7, 0.3), size=7)
    values, vectors = np.linalg.eig(chain.T)
    leading = np.real(vectors[:, np.argmax(np.real(values))])
    np.testing.assert_allclose(stationary_distribution(chain), leading / leading.sum(), atol=1e-12)
    np.testing.assert_allclose(stationary_distribution(chain) @ chain, stationary_distribution(chain), atol=1e-12)


def test_entropies_agree_with_scipy_and_zeros_add_nothing() -> None:
    chances = np.array([[0.1, 0.2, 0.7], [0.0, 1.0, 0.0], [0.5, 0.0, 0.5]])
    np.testing.assert_allclose(entropies(chances), [stats.entropy(distribution) for distribution in chances])
    assert entropies(chances)[2] == pytest.approx(np.log(2))


@given(st.integers(2, 40), st.floats(0.05, 5), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_the_last_bits_of_chances_change_no_alias_table(outcomes: int, alpha: float, seed: int) -> None:
    """BLAS of another processor may change the last bits of a stationary distribution; equal chances are the critical case."""
    rng = np.random.default_rng(seed)
    chances = np.repeat(rng.dirichlet(np.full(outcomes, alpha), size=2), 2, axis=1) / 2
    near = np.nextafter(chances, rng.integers(2, size=chances.shape))
    tables, others = (build_aliases(quantise(each)) for each in (chances, near))
    np.testing.assert_array_equal(tables[1], others[1])
    np.testing.assert_array_equal(tables[0], others[0])
    assert (quantise(chances).sum(axis=1) == 1).all()
    np.testing.assert_allclose(quantise(chances), chances, atol=outcomes * 2.0**-32)
