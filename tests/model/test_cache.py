"""A sequence that is fed in pieces through a cache has the hidden states of one whole pass."""

import itertools
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lab
from lab.config.kinds import KINDS
from lab.model import Context, Network, build, edited, states
from lab.model.cache import Cache
from tests.helpers.tiny import tiny

LENGTH = 12


def feed(network: Network, tokens_BT: torch.Tensor, cuts: Sequence[int], heads: Sequence[int] = (1,)) -> torch.Tensor:
    cache, bounds = Cache(), [0, *cuts, tokens_BT.shape[1]]
    pieces = [tokens_BT[:, begin:end] for begin, end in itertools.pairwise(bounds)]
    return torch.cat([network(piece, heads, Context(cache=cache)) for piece in pieces], dim=2)


@pytest.mark.parametrize("mlp", ["swiglu", "gelu"])
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_token_by_token_is_one_pass(kind: str, mlp: str) -> None:
    network = build(tiny(model__heads=kind, model__mlp=mlp, model__layers=5)).double()
    tokens_BT = torch.randint(12, (3, LENGTH), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(feed(network, tokens_BT, range(1, LENGTH)), network(tokens_BT, [1]), rtol=0, atol=1e-10)


@given(st.sets(st.integers(1, LENGTH - 1)))
@settings(deadline=None, max_examples=20)
@torch.no_grad()
def test_pieces_of_any_length_are_one_pass(cuts: set[int]) -> None:
    network = build(tiny()).double()
    tokens_BT = torch.randint(12, (2, LENGTH), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(feed(network, tokens_BT, sorted(cuts), [1, 2]), network(tokens_BT), rtol=0, atol=1e-10)


@torch.no_grad()
def test_float32_is_close() -> None:
    network = build(tiny())
    tokens_BT = torch.randint(12, (2, LENGTH), generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(feed(network, tokens_BT, [4, 5]), network(tokens_BT, [1]), rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_prompt_padded_on_the_left_is_masked() -> None:
    network = build(tiny()).double()
    tokens_BT = torch.randint(12, (1, LENGTH), generator=torch.Generator().manual_seed(3))
    padded_BT = torch.cat([torch.zeros(1, 2, dtype=torch.int64), tokens_BT], dim=1)
    cache, positions = Cache(), (torch.arange(LENGTH + 2) - 2).clamp(min=0)
    full = torch.ones(LENGTH + 2, LENGTH + 2, dtype=torch.bool).tril()
    full[2:, :2] = False
    pieces = [
        network(padded_BT[:, begin:end], [1], Context(positions[begin:end], full[begin:end, :end], cache))
        for begin, end in ((0, 5), (5, LENGTH + 2))
    ]
    torch.testing.assert_close(torch.cat(pieces, 2)[:, :, 2:], network(tokens_BT, [1]), rtol=0, atol=1e-10)


def test_activations_are_not_read_or_edited_from_a_cache() -> None:
    network, tokens_BT = build(tiny()), torch.zeros(1, 3, dtype=torch.int64)
    with pytest.raises(lab.LabError, match=r"context\.cache must be None"):
        states(network, tokens_BT, ["embedding"], Context(cache=Cache()))
    with edited(network, {"embedding": torch.zeros_like}), pytest.raises(lab.LabError, match=r"context\.cache must be None"):
        network(tokens_BT, [1], Context(cache=Cache()))


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.teacher_forced])
def test_heads_that_read_ahead_are_rejected(kind: str) -> None:
    network = build(tiny(model__heads=kind, model__layers=5))
    with pytest.raises(lab.LabError, match=r"heads must be \[1\] with a cache, not \[1, 2\]"):
        network(torch.zeros(1, 3, dtype=torch.int64), None, Context(cache=Cache()))
