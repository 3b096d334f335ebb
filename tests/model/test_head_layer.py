"""Prediction heads 2..n that read an earlier layer of the trunk."""

from collections.abc import Iterable

import pytest
import torch

from lab.errors import LabError
from lab.model import Context, Network, build, site_names, states
from lab.model.ensemble import stack
from tests.helpers.networks import BRANCHING, T, random_tokens, tiny_network
from tests.helpers.tiny import tiny

LAYER, N = 1, 3
EVERY = pytest.mark.parametrize("kind", BRANCHING)


def build_branched(kind: str, layer: int | None = LAYER, n_future: int = N) -> Network:
    return tiny_network(kind, n_future, model__head_layer=layer)


def trained_weights(network: Network) -> set[str]:
    """Return the names of the weights with a gradient."""
    return {name for name, weight in network.named_parameters() if weight.grad is not None and weight.grad.any()}


def trunk_layers(names: Iterable[str]) -> set[int]:
    """Return the numbers of the trunk layers to which weights or activations belong."""
    return {int(name.split(".")[1]) for name in names if name.startswith("trunk.")}


@EVERY
@torch.no_grad()
def test_further_heads_equal_those_of_a_truncated_network(kind: str) -> None:
    network, plain, cut = build_branched(kind), build_branched(kind, None), build_branched(kind, None)
    cut.trunk = cut.trunk[:LAYER]
    tokens_BT = random_tokens()
    found = network(tokens_BT)
    assert torch.equal(found[0], plain(tokens_BT)[0])
    assert torch.equal(found[1:], cut(tokens_BT)[1:])
    assert not torch.allclose(found[1], plain(tokens_BT)[1])
    assert torch.equal(network(tokens_BT, [2, 3]), found[1:])
    assert torch.equal(network(tokens_BT, [3, 1]), found[[2, 0]])


@EVERY
def test_the_last_layer_is_the_default(kind: str) -> None:
    plain = build_branched(kind, None)
    assert torch.equal(build_branched(kind, len(plain.trunk))(random_tokens()), plain(random_tokens()))


@pytest.mark.parametrize("layer", [1, 3, 5])
@torch.no_grad()
def test_bare_heads_are_the_unembedding_of_a_layer(layer: int) -> None:
    """Compare with a loop over positions, with the norm and the products written out."""
    network, tokens_BT = build_branched("bare", layer).double(), random_tokens()
    found = states(network, tokens_BT, [f"trunk.{number}.residual" for number in (layer - 1, len(network.trunk) - 1)])
    early, last = found.values()
    for head in range(1, N + 1):
        logits_BTV = network.logits(tokens_BT, head)
        for b in range(len(tokens_BT)):
            for t in range(T):
                state = (last if head == 1 else early)[b, t].tolist()
                scale = (sum(x * x for x in state) / len(state) + 1e-6) ** 0.5
                normed = [x / scale * weight for x, weight in zip(state, network.norm.weight.tolist(), strict=True)]
                scores = [sum(map(float.__mul__, normed, row)) for row in network.unembedding.weight.tolist()]
                assert logits_BTV[b, t].tolist() == pytest.approx(scores, rel=1e-9)


@EVERY
def test_further_losses_train_no_layer_above_their_input(kind: str) -> None:
    network = build_branched(kind)
    network(random_tokens())[1:].square().sum().backward()
    assert trunk_layers(trained_weights(network)) == set(range(LAYER))
    assert "embedding.weight" in trained_weights(network)


@EVERY
def test_detached_heads_send_no_gradient_to_the_layer(kind: str) -> None:
    network = build_branched(kind)
    attached, detached = network(random_tokens()), network(random_tokens(), context=Context(detached=True))
    assert torch.equal(attached, detached)
    detached[1:].square().sum().backward()
    assert {name.split(".")[0] for name in trained_weights(network)} <= {"heads"}


@EVERY
@torch.no_grad()
def test_a_pass_continues_from_layers_below_the_branch_only(kind: str) -> None:
    network, tokens_BT = build_branched(kind, 2), random_tokens()
    first, second, third = states(network, tokens_BT, [f"trunk.{number}.residual" for number in range(3)]).values()
    expected = network(tokens_BT)
    for done, state_BTD in ((1, first), (2, second)):
        assert torch.equal(network(tokens_BT, context=Context(computed=(done, state_BTD))), expected)
        assert torch.equal(network(tokens_BT, [2], Context(computed=(done, state_BTD))), expected[1:2])
    late = Context(computed=(3, third))
    assert torch.equal(network(tokens_BT, [1], late), expected[:1])
    with pytest.raises(LabError, match=r"context\.computed must have at most model\.head_layer = 2 trunk layers, not 3, for"):
        network(tokens_BT, [1, 3], late)


@EVERY
def test_a_head_depends_on_the_layers_it_reads(kind: str) -> None:
    network = build_branched(kind, 2)
    assert trunk_layers(site_names(network, 2)) == {0, 1}
    assert trunk_layers(site_names(network, 1)) == trunk_layers(site_names(network)) == set(range(len(network.trunk)))


@EVERY
def test_the_layer_changes_neither_weights_nor_cost(kind: str) -> None:
    plain, other = (tiny(model__heads=kind, n_future=N, model__layers=6, model__head_layer=layer) for layer in (None, 2))
    pairs = zip(build(plain).state_dict().items(), build(other).state_dict().items(), strict=True)
    assert all(one == other and torch.equal(mine, theirs) for (one, mine), (other, theirs) in pairs)
    assert plain.flops_per_step == other.flops_per_step
    assert plain.fingerprint != other.fingerprint


@EVERY
def test_stacked_members_compute_as_separately(kind: str) -> None:
    members = [tiny_network(kind, N, seed=seed, model__head_layer=LAYER) for seed in (1, 2)]
    together = stack(members)(random_tokens(4))
    for member, network in enumerate(members):
        rows = slice(2 * member, 2 * member + 2)
        torch.testing.assert_close(together[:, rows], network(random_tokens(4)[rows]))


def test_members_with_other_numbers_of_heads_are_rejected() -> None:
    with pytest.raises(LabError, match=r"model\.head_layer null"):
        stack([build_branched(BRANCHING[0], LAYER, n_future) for n_future in (2, 3)])
