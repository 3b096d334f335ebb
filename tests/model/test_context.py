"""Positions and masks in every kind of network."""

import pytest
import torch
from torch import Tensor

from lab.config.kinds import KINDS
from lab.model import Context, site_names, states
from tests.helpers.networks import T, random_tokens, tiny_network

EVERY = pytest.mark.parametrize("kind", KINDS)
TOKENS = random_tokens()
CAUSAL = torch.ones(T, T, dtype=torch.bool).tril()


def additive(mask: Tensor) -> Tensor:
    return torch.zeros(mask.shape).masked_fill(~mask, -torch.inf)


@EVERY
@pytest.mark.parametrize(
    "context",
    [
        Context(mask=CAUSAL),
        Context(mask=additive(CAUSAL)),
        Context(positions=torch.arange(T)),
        Context(positions=torch.arange(T).expand(2, T)),
        Context(positions=torch.arange(T) + 7),
        Context(positions=torch.arange(T) + torch.tensor([[3], [20]]), mask=CAUSAL.expand(2, 1, T, T)),
    ],
    ids=["bool", "additive", "positions", "positions of each", "offset", "offset of each and mask"],
)
def test_the_default_is_causal_and_positions_are_relative(kind: str, context: Context) -> None:
    network = tiny_network(kind).double()
    torch.testing.assert_close(network(TOKENS, context=context), network(TOKENS))


@EVERY
def test_padded_sequences_compute_as_separately(kind: str) -> None:
    network = tiny_network(kind)
    start_B1 = torch.tensor([[0], [4]])  # padding on the left
    inside_BT = torch.arange(T) >= start_B1
    positions_BT = (torch.arange(T) - start_B1).clamp(min=0)
    itself = torch.eye(T, dtype=torch.bool)
    mask_BTT = CAUSAL & inside_BT[:, None] | itself
    hidden = network(TOKENS, context=Context(positions_BT, mask_BTT[:, None]))
    torch.testing.assert_close(hidden[:, 0], network(TOKENS[:1])[:, 0])
    torch.testing.assert_close(hidden[:, 1, 4:], network(TOKENS[1:, 4:])[:, 0])


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if not kind.teacher_forced])
def test_branches_of_a_tree_compute_as_separate_sequences(kind: str) -> None:
    """Two continuations of 3 tokens after a prompt of 4 in one pass, which do not see each other."""
    network, prompt, branches = tiny_network(kind), TOKENS[:1, :4], random_tokens(2, 3, seed=5)
    tree = torch.cat([prompt, branches[:1], branches[1:]], dim=1)
    mask = CAUSAL.clone()
    mask[7:, 4:7] = False
    hidden = network(tree, context=Context(torch.tensor([0, 1, 2, 3, 4, 5, 6, 4, 5, 6]), mask))
    for branch, inside in zip(branches, (slice(4, 7), slice(7, 10)), strict=True):
        alone = network(torch.cat([prompt, branch[None]], dim=1))
        torch.testing.assert_close(hidden[:, :, inside], alone[:, :, 4:])


@EVERY
def test_a_pass_continues_from_computed_layers(kind: str) -> None:
    network = tiny_network(kind)
    found = states(network, TOKENS, ["embedding", "trunk.0.residual", "trunk.2.residual"])
    for done, state_BTD in zip((0, 1, 3), found.values(), strict=True):
        assert torch.equal(network(TOKENS, context=Context(computed=(done, state_BTD))), network(TOKENS))
    other = network(TOKENS, context=Context(computed=(2, found["trunk.2.residual"])))
    assert not torch.allclose(other, network(TOKENS))


def test_patterns_follow_the_mask() -> None:
    network = tiny_network().double()
    window = CAUSAL & ~CAUSAL.tril(-3)
    names = [name for name in site_names(network) if name.endswith(".pattern")]
    for mask in (window, additive(window)):
        for pattern in states(network, TOKENS, names, Context(mask=mask)).values():
            torch.testing.assert_close(pattern.sum(-1), torch.ones(2, 2, T, dtype=torch.float64))
            assert not pattern[:, :, ~window].any()
            assert pattern[:, :, window].all()
