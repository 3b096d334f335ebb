"""Joint heads: comparison with a loop over positions, the inputs of each output, and the initialisation."""

import math

import pytest
import torch
from torch import Tensor

from lab.model import Context, Network, build
from lab.model.cache import Cache
from tests.helpers.networks import T, V, random_tokens, tiny_network, trunk_output
from tests.helpers.tiny import tiny

N = 4


def build_joint(n_future: int = N) -> Network:
    return tiny_network("joint", n_future).double()


def normalise(state_D: Tensor, weight_D: Tensor) -> Tensor:
    return state_D / (state_D.square().mean() + 1e-6).sqrt() * weight_D


def rotate(state_K: Tensor, position: int) -> Tensor:
    """Rotate each pair of features as a complex number."""
    pairs = torch.view_as_complex(state_K.view(-1, 2))
    count = len(pairs)
    angles = torch.tensor([position * 10_000.0 ** (-k / count) for k in range(count)], dtype=torch.float64)
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten()


def naive_state(network: Network, state_D: Tensor, tokens: list[int]) -> Tensor:
    """Compute the state of the last head from the trunk's state at a position and the tokens from this position on."""
    attention, H = network.heads.attention, network.spec.model.n_heads
    query_DD, key_DD, value_DD = attention.qkv.weight.chunk(3)
    entries = [normalise(state_D, attention.state_norm.weight) / 2 + network.embedding.weight[token] for token in tokens]
    mixed = []
    for h in range(H):
        rows = slice(h * len(state_D) // H, (h + 1) * len(state_D) // H)
        query = rotate(query_DD[rows] @ entries[-1], len(tokens) - 1)
        scores = [query @ rotate(key_DD[rows] @ entry, j) / math.sqrt(len(query)) for j, entry in enumerate(entries)]
        weights = torch.stack(scores).softmax(0)
        mixed.append(sum(weight * (value_DD[rows] @ entry) for weight, entry in zip(weights, entries, strict=True)))
    return normalise(state_D + attention.out.weight @ torch.cat(mixed), network.norm.weight)


@torch.no_grad()
def test_heads_agree_with_a_loop_over_positions() -> None:
    network, tokens_BT = build_joint(), random_tokens()
    found, trunk_BTD = network(tokens_BT), trunk_output(network, tokens_BT)
    for b in range(len(tokens_BT)):
        for t in range(T):
            torch.testing.assert_close(found[0, b, t], normalise(trunk_BTD[b, t], network.norm.weight))
            for ahead in range(1, min(N, T - t)):
                expected = naive_state(network, trunk_BTD[b, t], tokens_BT[b, t : t + ahead + 1].tolist())
                torch.testing.assert_close(found[ahead, b, t], expected)


@torch.no_grad()
def test_a_head_reads_the_past_through_one_state_only() -> None:
    """With fixed states of the trunk, head i + 1 at t depends on tokens t to t + i and no other."""
    network, tokens_BT = build_joint(), random_tokens(1)
    context = Context(computed=(len(network.trunk), trunk_output(network, tokens_BT)))
    before_NTD = network(tokens_BT, context=context)[:, 0]
    for changed in range(T):
        other_BT = tokens_BT.clone()
        other_BT[0, changed] = (other_BT[0, changed] + 7) % V
        changes_NT = (network(other_BT, context=context)[:, 0] != before_NTD).any(-1)
        for i in range(N):
            assert changes_NT[i].tolist() == [i > 0 and 0 <= changed - t <= i for t in range(T)]


@torch.no_grad()
def test_a_state_of_the_trunk_affects_its_own_position_only() -> None:
    network, tokens_BT = build_joint(), random_tokens(1)
    trunk_BTD = trunk_output(network, tokens_BT)
    before_NTD = network(tokens_BT)[:, 0]
    for changed in range(T):
        other_BTD = trunk_BTD.clone()
        other_BTD[0, changed] *= -1
        context = Context(computed=(len(network.trunk), other_BTD))
        changes_NT = (network(tokens_BT, context=context)[:, 0] != before_NTD).any(-1)
        assert changes_NT.tolist() == [[t == changed for t in range(T)]] * N


def test_heads_start_as_the_next_token_head() -> None:
    first, *others = build(tiny(model__heads="joint", n_future=N))(random_tokens())
    assert all(torch.equal(first, other) for other in others)


@pytest.mark.parametrize("n_future", [2, 5])
def test_parameters_do_not_grow_with_heads(n_future: int) -> None:
    one, several = (build(tiny(model__heads="joint", n_future=n)) for n in (1, n_future))
    d = several.spec.model.width
    assert several.non_embedding_parameters() - one.non_embedding_parameters() == 4 * d**2 + d


@torch.no_grad()
def test_a_cache_returns_states_from_any_earlier_slot() -> None:
    cache = Cache(2, 5)
    slots, states_BTD = cache.next_slots(4, 2, torch.float32), torch.arange(1.0, 9).view(2, 4, 1)
    slots.keep("some", states_BTD)
    for back in range(6):
        expected = torch.cat([torch.zeros(2, min(back, 4), 1), states_BTD[:, : max(0, 4 - back)]], dim=1)
        assert torch.equal(slots.recall("some", back), expected)
