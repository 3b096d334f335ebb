"""Patches at a position, compared with other tokens and with a loop over layers."""

import pytest
import torch

from lab.config.kinds import KINDS
from lab.errors import LabError
from lab.interp.patching import patch_position
from lab.model import Network
from tests.helpers.networks import random_tokens, tiny_network

POSITION = 5
TOKENS, SOURCES = random_tokens(4, seed=0), random_tokens(4, seed=1)


@pytest.fixture
def network() -> Network:
    return tiny_network(n_future=2)


@pytest.mark.parametrize("name", ["embedding", "trunk.2.residual", "trunk.0.mlp", "trunk.1.attention.heads"])
@pytest.mark.parametrize("head", [1, 2])
def test_patching_with_the_same_sequence_changes_nothing(network: Network, name: str, head: int) -> None:
    torch.testing.assert_close(patch_position(network, TOKENS, TOKENS, name, POSITION, head), network.logits(TOKENS, head))


def test_patching_an_embedding_replaces_its_token(network: Network) -> None:
    changed = TOKENS.clone()
    changed[:, POSITION] = SOURCES[:, POSITION]
    torch.testing.assert_close(patch_position(network, TOKENS, SOURCES, "embedding", POSITION), network.logits(changed))


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_later_layers_see_the_patched_state(network: Network, layers: int) -> None:
    """Compare with a loop over the layers of the trunk."""
    context = network.complete_context(TOKENS)
    states, sources = network.embedding(TOKENS), network.embedding(SOURCES)
    for number, layer in enumerate(network.trunk, start=1):
        states, sources = layer(states, context), layer(sources, context)
        if number == layers:
            states[:, POSITION] = sources[:, POSITION]
    expected = network.unembedding(network.norm(network.heads.layers[0](states, context)), 1)
    found = patch_position(network, TOKENS, SOURCES, f"trunk.{layers - 1}.residual", POSITION)
    torch.testing.assert_close(found, expected)
    plain = network.logits(TOKENS)
    torch.testing.assert_close(found[:, :POSITION], plain[:, :POSITION])
    assert not torch.allclose(found[:, POSITION + 1 :], plain[:, POSITION + 1 :])


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.teacher_forced])
def test_embeddings_read_ahead_are_rejected(kind: str) -> None:
    network = tiny_network(kind)
    patch_position(network, TOKENS, SOURCES, "embedding", POSITION, head=1)
    with pytest.raises(LabError, match="embedding cannot be patched for prediction head 2, which is teacher-forced"):
        patch_position(network, TOKENS, SOURCES, "embedding", POSITION, head=2)


@pytest.mark.parametrize(
    ("name", "position", "message"),
    [
        ("trunk.0.attention.pattern", 0, "trunk.0.attention.pattern cannot be patched at a position"),
        ("trunk.0.mlp", 10, "position must be between 0 and 9, not 10"),
        ("trunk.0.mlp", -1, "position must be between 0 and 9, not -1"),
        ("trunk.9.mlp", 0, "no activation 'trunk.9.mlp'"),
    ],
)
def test_impossible_patches_are_rejected(network: Network, name: str, position: int, message: str) -> None:
    with pytest.raises(LabError, match=message):
        patch_position(network, TOKENS, SOURCES, name, position)
