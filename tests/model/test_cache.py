"""Sequences that are fed in pieces through a cache have the hidden states of one full pass."""

import itertools
from collections.abc import Iterator, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import lab
from lab.config.kinds import KINDS
from lab.model import Context, Network, edited, states
from lab.model.cache import Cache
from tests.helpers.networks import VARIANTS, V, random_tokens, tiny_network

B, LENGTH, N = 3, 12, 3
CUTS = st.lists(st.integers(1, LENGTH - 1), unique=True).map(sorted)


def feed(network: Network, tokens_BT: Tensor, cuts: Sequence[int], heads: Sequence[int] | None = None) -> Tensor:
    cache, bounds = Cache(len(tokens_BT), LENGTH), [0, *cuts, tokens_BT.shape[1]]
    pieces = [tokens_BT[:, begin:end] for begin, end in itertools.pairwise(bounds)]
    return torch.cat([network(piece, heads, Context(cache=cache)) for piece in pieces], dim=2)


def assert_fed(network: Network, found_NBTD: Tensor, tokens_BT: Tensor, tolerance: float = 1e-10) -> None:
    """Assert that fed states are those of one pass; teacher-forced head i is i - 1 tokens late, since it reads tokens ahead."""
    length = tokens_BT.shape[1]
    for number, (found_BTD, expected_BTD) in enumerate(zip(found_NBTD, network(tokens_BT), strict=True)):
        late = number if network.spec.kind.teacher_forced else 0
        torch.testing.assert_close(found_BTD[:, late:], expected_BTD[:, : length - late], rtol=0, atol=tolerance)


@given(st.sampled_from(VARIANTS), st.sampled_from(["swiglu", "gelu"]), CUTS)
@settings(deadline=None, max_examples=60)
@torch.no_grad()
def test_pieces_of_any_length_equal_one_pass(variant: tuple[str, int | None], mlp: str, cuts: list[int]) -> None:
    kind, layer = variant
    changes = {"model__head_layer": layer, "model__mlp": mlp, "model__norm_epsilon": 0.01, "model__inner_width": 20}
    network, tokens_BT = tiny_network(kind, N, **changes).double(), random_tokens(B, LENGTH)
    assert_fed(network, feed(network, tokens_BT, cuts), tokens_BT)


@pytest.mark.parametrize("mlp", ["swiglu", "gelu"])
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_feeding_single_tokens_is_close_in_float32(kind: str, mlp: str) -> None:
    network, tokens_BT = tiny_network(kind, N, model__mlp=mlp), random_tokens(B, LENGTH)
    assert_fed(network, feed(network, tokens_BT, range(1, LENGTH)), tokens_BT, tolerance=1e-5)


def random_pieces(generator: torch.Generator, tokens_BT: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield pieces (B, T) and the number of tokens that each sequence accepts; the others are random, to be rejected."""
    done_B = torch.zeros(B, dtype=torch.int64)
    while int(done_B.min()) < LENGTH:
        count = int(torch.randint(1, 5, (), generator=generator))
        piece_BT = torch.randint(V, (B, count), generator=generator)
        accepted_B = torch.randint(count + 1, (B,), generator=generator).minimum(LENGTH - done_B)
        for b, (done, accepted) in enumerate(zip(done_B.tolist(), accepted_B.tolist(), strict=True)):
            piece_BT[b, :accepted] = tokens_BT[b, done : done + accepted]
        yield piece_BT, accepted_B
        done_B = done_B + accepted_B


@given(st.sampled_from(list(KINDS)), st.integers(0, 1 << 20))
@settings(deadline=None, max_examples=60)
@torch.no_grad()
def test_ragged_pieces_equal_one_pass(kind: str, seed: int) -> None:
    """Each sequence accepts its own number of the tokens of a piece; the next piece overwrites what it rejects."""
    network, tokens_BT = tiny_network(kind, N).double(), random_tokens(B, LENGTH)
    cache, found = Cache(B, LENGTH + 4), [list[Tensor]() for _ in range(B)]
    for piece_BT, accepted_B in random_pieces(torch.Generator().manual_seed(seed), tokens_BT):
        before_B = cache.lengths_B
        hidden_NBTD = network(piece_BT, None, Context(cache=cache))
        for b, accepted in enumerate(accepted_B.tolist()):
            found[b].append(hidden_NBTD[:, b, :accepted])
        cache.cut(before_B + accepted_B)
    assert_fed(network, torch.stack([torch.cat(each, dim=1) for each in found], dim=1), tokens_BT)


@torch.no_grad()
def test_rejected_slots_have_no_weight() -> None:
    """Zeroed keys would still have the weight exp(0); the content of a rejected slot must change nothing, bit for bit."""
    network, tokens_BT = tiny_network("causal", N), random_tokens(B, LENGTH)
    found = []
    for rejected in (0, 1, V - 1):
        cache = Cache(B, 2 * LENGTH)
        network(torch.cat([tokens_BT[:, :5], torch.full((B, 4), rejected)], dim=1), None, Context(cache=cache))
        cache.cut(torch.tensor([5, 3, 7]))
        found.append(network(tokens_BT[:, 5:6], None, Context(cache=cache)))
    assert torch.equal(found[0][:, :2], found[1][:, :2])
    assert torch.equal(found[0][:, :2], found[2][:, :2])
    assert not torch.equal(found[0][:, 2], found[1][:, 2]), "the third sequence keeps two of the tokens"


@torch.no_grad()
def test_each_sequence_has_its_own_rotary_offset() -> None:
    """A sequence that is cut to different lengths in one batch equals three separate sequences."""
    network, tokens_BT = tiny_network("parallel", N).double(), random_tokens(1, LENGTH).expand(B, -1)
    cache, lengths = Cache(B, LENGTH + 4), [3, 8, 5]
    network(tokens_BT[:, :8], None, Context(cache=cache))
    cache.cut(torch.tensor(lengths))
    pieces = torch.stack([tokens_BT[b, length : length + 2] for b, length in enumerate(lengths)])
    found_NBTD = network(pieces, None, Context(cache=cache))
    for b, length in enumerate(lengths):
        alone_NTD = network(tokens_BT[:1, : length + 2])[:, 0, -2:]
        torch.testing.assert_close(found_NBTD[:, b], alone_NTD, rtol=0, atol=1e-10)


@torch.no_grad()
def test_positions_and_mask_can_be_given() -> None:
    """Two tokens have the same position and do not see each other, as in a tree."""
    network, tokens_BT = tiny_network("parallel", N).double(), random_tokens(1, LENGTH)
    cache = Cache(1, LENGTH)
    network(tokens_BT[:, :4], None, Context(cache=cache))
    mask = torch.cat([torch.ones(2, 4, dtype=torch.bool), torch.eye(2, dtype=torch.bool)], dim=1)
    found_NBTD = network(tokens_BT[:, 4:6], None, Context(torch.tensor([4, 4]), mask, cache))
    for t in range(2):
        alone_NBTD = network(torch.cat([tokens_BT[:, :4], tokens_BT[:, 4 + t : 5 + t]], dim=1))
        torch.testing.assert_close(found_NBTD[:, :, t], alone_NBTD[:, :, -1], rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_pass_without_a_workspace_is_the_same(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes over many tokens and on other devices have no workspace."""
    monkeypatch.setattr("lab.model.network.WORKSPACE_TOKENS", 0)
    network, tokens_BT = tiny_network(kind, N).double(), random_tokens(B, LENGTH)
    assert_fed(network, feed(network, tokens_BT, [5, 6, 10]), tokens_BT)


@torch.no_grad()
def test_a_network_in_bfloat16_fills_a_cache() -> None:
    network, tokens_BT = tiny_network().bfloat16(), random_tokens(B, LENGTH)
    assert_fed(network, feed(network, tokens_BT, [3, 4]), tokens_BT, tolerance=0.2)


@pytest.mark.slow
@torch.no_grad()
def test_a_compiled_network_fills_a_cache() -> None:
    network, tokens_BT = tiny_network("parallel", N).double(), random_tokens(B, LENGTH)
    compiled = torch.compile(network, backend="aot_eager")
    assert_fed(network, feed(compiled, tokens_BT, [5, 6]), tokens_BT)  # type: ignore[arg-type]


def test_a_cache_has_a_capacity() -> None:
    with pytest.raises(ValueError, match="the cache holds 5 tokens of a sequence, not 6"):
        tiny_network()(random_tokens(1, 6), None, Context(cache=Cache(1, 5)))


def test_activations_are_not_read_or_edited_from_a_cache() -> None:
    network, tokens_BT = tiny_network(), torch.zeros(1, 3, dtype=torch.int64)
    with pytest.raises(lab.LabError, match=r"context\.cache must be None"):
        states(network, tokens_BT, ["embedding"], Context(cache=Cache(1, 3)))
    with edited(network, {"embedding": torch.zeros_like}), pytest.raises(lab.LabError, match=r"context\.cache must be None"):
        network(tokens_BT, [1], Context(cache=Cache(1, 3)))
