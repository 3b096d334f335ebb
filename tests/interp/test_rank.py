"""Effective rank against closed forms."""

import math

import pytest
import torch

import tasks
from lab.interp.rank import effective_rank, rank
from lab.model import build
from tests.helpers.tiny import tiny


def test_it_counts_directions_of_equal_strength() -> None:
    for count in (1, 3, 5):
        directions = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
        states = torch.cat([directions[:count], -directions[:count]]) + 7.0  # the mean does not count
        assert effective_rank(states) == pytest.approx(count)


def test_it_weights_directions_by_their_singular_values() -> None:
    states = torch.tensor([[3.0, 0, 0], [-3, 0, 0], [0, 1, 0], [0, -1, 0]])
    shares = (0.75, 0.25)
    assert effective_rank(states) == pytest.approx(math.exp(-sum(share * math.log(share) for share in shares)))
    assert effective_rank(torch.ones(4, 3)) == 0


def test_only_scored_positions_count() -> None:
    network, task = build(tiny("agreement")), tasks.get("agreement")
    table = rank(network, task, sequences=64).set_index("site")["value"]
    assert (table <= 8).all()
    prompt_free = tasks.get("agreement", loss_on="all")
    assert table["embedding"] != rank(network, prompt_free, sequences=64).set_index("site")["value"]["embedding"]
