"""Distributions at a temperature or of the most probable tokens alone, and draws from them."""

import numpy as np
import pytest
import torch
from scipy import stats

import lab
from lab.decoding import Sampling
from lab.decoding.sampling import draw, pick, uniform

PROBABILITIES = [0.1, 0.5, 0.0, 0.25, 0.15]
LOGITS = torch.tensor(PROBABILITIES).log()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, PROBABILITIES),
        ({"temperature": 5e-324}, [0.0, 1.0, 0.0, 0.0, 0.0]),
        ({"temperature": 0.5}, [0.01, 0.25, 0.0, 0.0625, 0.0225]),
        ({"top_k": 2}, [0.0, 0.5, 0.0, 0.25, 0.0]),
        ({"top_k": 9}, PROBABILITIES),
        ({"top_p": 0.4}, [0.0, 0.5, 0.0, 0.0, 0.0]),
        ({"top_p": 0.8}, [0.0, 0.5, 0.0, 0.25, 0.15]),
        ({"top_p": 1e-9}, [0.0, 0.5, 0.0, 0.0, 0.0]),
        ({"top_k": 3, "top_p": 0.8}, [0.0, 0.5, 0.0, 0.25, 0.0]),
        ({"temperature": 0.5, "top_p": 0.8}, [0.0, 0.25, 0.0, 0.0625, 0.0]),
    ],
)
def test_probabilities_agree_with_those_by_hand(settings: dict[str, float], expected: list[float]) -> None:
    found = Sampling(**settings).probabilities(LOGITS)  # type: ignore[arg-type]
    np.testing.assert_allclose(found, np.array(expected) / sum(expected), atol=1e-7)


@pytest.mark.parametrize("sampling", [Sampling(top_k=2), Sampling(top_p=0.5)])
def test_of_equal_tokens_only_as_many_as_needed_are_kept(sampling: Sampling) -> None:
    assert sampling.probabilities(torch.zeros(4)).tolist() == [0.5, 0.5, 0, 0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0.0}, "temperature must be a number above 0, not 0.0"),
        ({"temperature": float("nan")}, "temperature must be a number above 0, not nan"),
        ({"temperature": float("inf")}, "temperature must be a number above 0, not inf"),
        ({"top_k": 0}, "top_k must be at least 1, not 0"),
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1, not 0.0"),
        ({"top_p": 1.5}, "top_p must be above 0 and at most 1, not 1.5"),
        ({"top_p": float("nan")}, "top_p must be above 0 and at most 1, not nan"),
        ({"seed": -1}, "seed must be between 0 and 2\\*\\*63 - 1, not -1"),
        ({"seed": 2**63}, "seed must be between 0 and 2\\*\\*63 - 1, not 9223372036854775808"),
    ],
)
def test_wrong_settings_are_rejected(settings: dict[str, float], message: str) -> None:
    with pytest.raises(lab.LabError, match=message):
        Sampling(**settings)  # type: ignore[arg-type]


def test_draws_follow_the_distribution() -> None:
    drawn = pick(LOGITS.expand(4000, -1), Sampling(), uniform(torch.Generator(), 4000))
    counts = np.bincount(drawn.numpy(), minlength=5)
    assert counts[2] == 0, "an impossible token was drawn"
    expected = np.array(PROBABILITIES)
    assert stats.chisquare(counts[expected > 0], 4000 * expected[expected > 0]).pvalue > 1e-3


def test_successive_draws_are_independent() -> None:
    uniform_BS = uniform(torch.Generator(), 4000, 2)
    drawn_BS = draw(torch.tensor([0.5, 0.5], dtype=torch.float64).expand(4000, 2, 2), uniform_BS)
    assert stats.chisquare(np.bincount((2 * drawn_BS[:, 0] + drawn_BS[:, 1]).numpy(), minlength=4)).pvalue > 1e-3


def test_any_random_number_draws_a_possible_token() -> None:
    """Cumulative probabilities end at 1 up to rounding: a number near 1 must not select a token after the last possible one."""
    weights = torch.tensor([0.3, 0.7, 0.0], dtype=torch.float64)
    assert draw(weights.expand(3, -1), torch.tensor([0.0, 0.3, 1 - 2**-53], dtype=torch.float64)).tolist() == [0, 1, 1]
