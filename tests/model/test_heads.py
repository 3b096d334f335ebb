"""Every kind of prediction heads: what it sees, what it trains, how it begins."""

import pytest
import torch
from torch import Tensor

import lab
from lab.config import Experiment
from lab.config.kinds import KINDS
from lab.errors import LabError
from lab.model import HEADS, Network, build
from lab.model.heads import from_ahead

EVERY = pytest.mark.parametrize("kind", HEADS)
DETACHABLE = pytest.mark.parametrize("kind", [kind for kind in HEADS if kind != "anticausal"])
V, T = 24, 10


def tiny(kind: str = "parallel", n_future: int = 3, **more: object) -> Experiment:
    chosen = {
        "model.width": 16, "model.layers": 6, "model.n_heads": 2, "model.heads": kind,
        "task.vocabulary": V, "task.test_period": None,
    }  # fmt: skip
    return lab.experiment("induction", {**chosen, **more}, n_future=n_future)


def rows() -> Tensor:
    return torch.randint(V, (2, T), generator=torch.Generator().manual_seed(0))


def stirred(network: Network) -> Network:
    """A network in which nothing is zero any more, as after some training."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.05)
    return network


def test_every_kind_has_a_name_a_class_and_a_cost() -> None:
    assert HEADS.keys() == KINDS.keys()


@EVERY
@pytest.mark.parametrize("n_future", [1, 3])
def test_each_output_depends_on_exactly_the_tokens_that_it_may_see(kind: str, n_future: int) -> None:
    network = stirred(build(tiny(kind, n_future)))
    tokens_BT = rows()[:1]
    with torch.no_grad():
        before_NTD = network(tokens_BT)[:, 0]
        for changed in range(T):
            other_BT = tokens_BT.clone()
            other_BT[0, changed] = (other_BT[0, changed] + 7) % V
            moved_NT = (network(other_BT)[:, 0] != before_NTD).any(-1)
            for i in range(n_future):
                told = i if kind == "sequential" else 0  # head i + 1 at t: the tokens up to t + i
                assert moved_NT[i].tolist() == [changed <= position + told for position in range(T)]


def test_teacher_forcing_is_by_the_very_token_and_ends_with_the_row() -> None:
    states_BTD = torch.arange(1.0, 5)[None, :, None]
    assert from_ahead(states_BTD, 1).flatten().tolist() == [2, 3, 4, 0]
    assert from_ahead(states_BTD, 3).flatten().tolist() == [4, 0, 0, 0]
    assert from_ahead(states_BTD, 6).flatten().tolist() == [0, 0, 0, 0]


def test_a_sequential_module_is_the_formula_of_deepseek_v3() -> None:
    network = stirred(build(tiny("sequential", 2)))
    tokens_BT, module = rows(), network.heads.further[0]

    def normed(states: Tensor, gain: Tensor) -> Tensor:
        return states / (states.square().mean(-1, keepdim=True) + 1e-6).sqrt() * gain

    with torch.no_grad():
        rotary, states_BTD = network.rotary(T, tokens_BT.device), network.embedding(tokens_BT)
        for layer in network.trunk:
            states_BTD = layer(states_BTD, rotary)
        main_BTD = network.heads.first(states_BTD, rotary)
        told_BTD = network.embedding(tokens_BT[:, 1:])
        left, right = module.projection.weight.chunk(2, dim=1)
        joined_BTD = (
            normed(main_BTD[:, :-1], module.state_norm.weight) @ left.T + normed(told_BTD, module.token_norm.weight) @ right.T
        )
        expected_BTD = normed(module.layer(joined_BTD, network.rotary(T - 1, tokens_BT.device)), network.norm.weight)
        torch.testing.assert_close(network(tokens_BT)[1, :, :-1], expected_BTD)
        torch.testing.assert_close(network(tokens_BT)[0], normed(main_BTD, network.norm.weight))


def states_of(network: Network) -> Tensor:
    """The trunk's output, layer by layer."""
    states_BTD = network.embedding(rows())
    for layer in network.trunk:
        states_BTD = layer(states_BTD, network.rotary(T, torch.device("cpu")))
    return states_BTD


def test_a_linear_head_is_one_matrix_on_the_trunks_output() -> None:
    network = stirred(build(tiny("linear")))
    expected = torch.stack([states_of(network) @ matrix.weight.T for matrix in network.heads.matrices])
    torch.testing.assert_close(network(rows()), network.norm(expected))


def test_a_residual_head_is_the_formula_of_medusa() -> None:
    network = stirred(build(tiny("residual")))
    trunk_BTD = states_of(network)
    inside = [trunk_BTD @ block.from_zero.weight.T for block in network.heads.blocks]
    expected = torch.stack([trunk_BTD, *(trunk_BTD + each / (1 + torch.exp(-each)) for each in inside)])
    torch.testing.assert_close(network(rows()), network.norm(expected))


def test_causal_and_anticausal_heads_are_one_chain_read_from_either_end() -> None:
    causal, anticausal = build(tiny("causal")), build(tiny("anticausal"))
    state = causal.state_dict()
    swapped = {
        name.replace("layers.0", "layers.x").replace("layers.2", "layers.0").replace("layers.x", "layers.2"): weight
        for name, weight in state.items()
    }
    anticausal.load_state_dict(swapped)
    assert torch.equal(causal(rows()), anticausal(rows()).flip(0))


def test_residual_heads_begin_as_the_next_token_head_and_head_1_is_the_trunk() -> None:
    network = build(tiny("residual"))
    first, *others = network(rows())
    assert all(torch.equal(first, other) for other in others)
    stirred(network)
    before = network(rows())
    with torch.no_grad():
        network.heads.blocks[0].from_zero.weight.zero_()
    after = network(rows())
    assert torch.equal(after[0], before[0])
    assert torch.equal(after[1], after[0])
    assert torch.equal(after[2], before[2])


@pytest.mark.parametrize("kind", [kind for kind in HEADS if kind != "linear"])
def test_with_one_head_every_kind_but_linear_is_the_very_same_plain_network(kind: str) -> None:
    network, plain = build(tiny(kind, 1)), build(tiny("parallel", 1))
    assert torch.equal(network(rows()), plain(rows()))
    assert network.non_embedding_parameters() == plain.non_embedding_parameters()


@pytest.mark.parametrize("kind", ["causal", "replicated"])
def test_kinds_of_the_same_parts_begin_with_the_same_next_token_path(kind: str) -> None:
    network, parallel = build(tiny(kind)), build(tiny("parallel"))
    assert torch.equal(network.logits(rows()), parallel.logits(rows()))
    if kind == "replicated":
        assert torch.equal(network(rows()), parallel(rows()))
        assert [matrix.shape for matrix in network.unembedding.matrices] == [(V, 16)] * 3


def test_each_replicated_unembedding_is_trained_by_its_own_head_alone() -> None:
    network = build(tiny("replicated"))
    logits_BTV = network.logits(rows(), head=2)
    logits_BTV.square().sum().backward()
    assert [matrix.grad is not None for matrix in network.unembedding.matrices] == [False, True, False]


def of_the_next_token(network: Network) -> dict[str, Tensor]:
    """Trunk, embedding and everything that only prediction head 1 uses."""
    hidden = network(rows())[0]
    names, weights = zip(*network.named_parameters(), strict=True)
    used = torch.autograd.grad(hidden.square().sum(), weights, allow_unused=True, materialize_grads=True)
    behind = ("norm.", "unembedding.")  # what stands behind all heads belongs to none
    return {name: w for name, w, g in zip(names, weights, used, strict=True) if g.any() and not name.startswith(behind)}


@DETACHABLE
@pytest.mark.parametrize("n_future", [1, 2, 3])
def test_detached_heads_send_no_gradient_back_and_predict_the_same(kind: str, n_future: int) -> None:
    network = stirred(build(tiny(kind, n_future)))
    attached, detached = network(rows()), network(rows(), detached=True)
    assert torch.equal(attached, detached)
    if n_future == 1:
        return
    weights = of_the_next_token(network)
    assert {"embedding.weight", "trunk.0.attention.qkv.weight"} <= set(weights)
    upstream = torch.randn(detached[1:].shape, generator=torch.Generator().manual_seed(1))
    back = torch.autograd.grad(detached[1:], list(weights.values()), upstream, allow_unused=True, retain_graph=True)
    assert all(gradient is None or not gradient.any() for gradient in back)
    own = [weight for name, weight in network.named_parameters() if name.startswith("heads") and name not in weights]
    assert all(gradient.any() for gradient in torch.autograd.grad(detached[1:], own, upstream))
    assert torch.autograd.grad(attached[1:], network.embedding.weight, upstream)[0].any()


@DETACHABLE
def test_the_next_token_head_trains_as_if_the_detached_heads_were_not_there(kind: str) -> None:
    network = stirred(build(tiny(kind)))
    weights = list(of_the_next_token(network).values())
    plain, detached = (torch.autograd.grad(network(rows(), detached=cut)[0].square().sum(), weights) for cut in (False, True))
    assert all(torch.equal(one, other) for one, other in zip(plain, detached, strict=True))


def test_anticausal_heads_refuse_to_be_detached_from_the_path_that_they_lie_on() -> None:
    with pytest.raises(LabError, match="anticausal"):
        build(tiny("anticausal"))(rows(), detached=True)
    build(tiny("anticausal", 1))(rows(), detached=True)
