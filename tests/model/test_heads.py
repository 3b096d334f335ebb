"""Every kind of prediction heads: the tokens it reads, the weights it trains, and its initialisation."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

import lab
from lab.config.kinds import KINDS, LAYER, NOTHING
from lab.errors import LabError
from lab.model import Context, Network, build, site_names
from lab.model.heads import shift_back
from tests.helpers.networks import DETACHABLE, T, V, random_tokens, tiny_network, trunk_output
from tests.helpers.tiny import tiny

EVERY = pytest.mark.parametrize("kind", KINDS)
DETACHED = Context(detached=True)


def build_untrained(kind: str, n_future: int = 3) -> Network:
    return build(tiny(n_future=n_future, model__heads=kind, model__layers=6))


@EVERY
@pytest.mark.parametrize("n_future", [1, 3])
def test_outputs_depend_on_exactly_the_tokens_they_see(kind: str, n_future: int) -> None:
    network, tokens_BT = tiny_network(kind, n_future), random_tokens(1)
    with torch.no_grad():
        before_NTD = network(tokens_BT)[:, 0]
        for changed in range(T):
            other_BT = tokens_BT.clone()
            other_BT[0, changed] = (other_BT[0, changed] + 7) % V
            changes_NT = (network(other_BT)[:, 0] != before_NTD).any(-1)
            for i in range(n_future):
                ahead = i if KINDS[kind].teacher_forced else 0  # head i + 1 at t reads the tokens up to t + i
                assert changes_NT[i].tolist() == [changed <= position + ahead for position in range(T)]


@EVERY
@pytest.mark.parametrize("heads", [[1], [2], [3], [1, 3], [3, 2]])
def test_a_subset_of_heads_equals_those_of_all_heads(kind: str, heads: list[int]) -> None:
    network, tokens_BT = tiny_network(kind), random_tokens()
    everything = network(tokens_BT)
    assert torch.equal(network(tokens_BT, heads), everything[[head - 1 for head in heads]])
    for head in heads:
        torch.testing.assert_close(network.logits(tokens_BT, head), network.unembedding(everything[head - 1], head))


@EVERY
def test_unneeded_heads_are_not_computed(kind: str) -> None:
    """Head 1 alone has no gradient in weights of other heads, unless these are on its path."""
    network = tiny_network(kind)
    network(random_tokens(), [1]).sum().backward()
    weights = [(name, weight) for name, weight in network.named_parameters() if not name.startswith("unembedding.")]
    unused = [name for name, weight in weights if weight.grad is None]
    counts = KINDS[kind].counts
    assert bool(unused) == (counts(3) != counts(1) and not KINDS[kind].on_path)
    assert all(name.startswith("heads.") for name in unused)


@pytest.mark.parametrize("heads", [[], [0], [4], [1, -1]])
def test_heads_that_do_not_exist_are_rejected(heads: list[int]) -> None:
    with pytest.raises(LabError, match=r"heads must be between 1 and n_future = 3, not \["):
        tiny_network()(random_tokens(), heads)


def test_tokens_ahead_end_with_the_sequence() -> None:
    states_BTD = torch.arange(1.0, 5)[None, :, None]
    assert shift_back(states_BTD, 1).flatten().tolist() == [2, 3, 4, 0]
    assert shift_back(states_BTD, 3).flatten().tolist() == [4, 0, 0, 0]
    assert shift_back(states_BTD, 6).flatten().tolist() == [0, 0, 0, 0]


def test_sequential_heads_follow_the_formula_of_deepseek() -> None:
    network, tokens_BT = tiny_network("sequential", 2), random_tokens()
    module, context = network.heads.further[0], network.complete_context(tokens_BT)

    def normalise(states: Tensor, weight: Tensor) -> Tensor:
        return states / (states.square().mean(-1, keepdim=True) + 1e-6).sqrt() * weight

    with torch.no_grad():
        main_BTD = network.heads.first(trunk_output(network, tokens_BT), context)
        left, right = module.projection.weight.chunk(2, dim=1)
        joined_BTD = normalise(main_BTD[:, :-1], module.state_norm.weight) @ left.T
        joined_BTD += normalise(network.embedding(tokens_BT[:, 1:]), module.token_norm.weight) @ right.T
        state_BTD = module.layer(joined_BTD, network.complete_context(tokens_BT[:, 1:]))
        torch.testing.assert_close(network(tokens_BT)[1, :, :-1], normalise(state_BTD, network.norm.weight))
        torch.testing.assert_close(network(tokens_BT)[0], normalise(main_BTD, network.norm.weight))


def test_a_linear_head_is_one_matrix() -> None:
    network, tokens_BT = tiny_network("linear"), random_tokens()
    expected = torch.stack([trunk_output(network, tokens_BT) @ matrix.weight.T for matrix in network.heads.matrices])
    torch.testing.assert_close(network(tokens_BT), network.norm(expected))


def test_a_residual_head_follows_the_formula_of_medusa() -> None:
    network, tokens_BT = tiny_network("residual"), random_tokens()
    trunk_BTD = trunk_output(network, tokens_BT)
    inside = [trunk_BTD @ block.from_zero.weight.T for block in network.heads.blocks]
    expected = torch.stack([trunk_BTD, *(trunk_BTD + each / (1 + torch.exp(-each)) for each in inside)])
    torch.testing.assert_close(network(tokens_BT), network.norm(expected))


def test_causal_and_anticausal_heads_are_the_same_chain() -> None:
    causal, anticausal = build_untrained("causal"), build_untrained("anticausal")
    swapped = {
        name.replace("layers.0", "layers.x").replace("layers.2", "layers.0").replace("layers.x", "layers.2"): weight
        for name, weight in causal.state_dict().items()
    }
    anticausal.load_state_dict(swapped)
    assert torch.equal(causal(random_tokens()), anticausal(random_tokens()).flip(0))


def test_residual_heads_start_as_the_next_token_head() -> None:
    first, *others = build_untrained("residual")(random_tokens())
    assert all(torch.equal(first, other) for other in others)


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.first in (LAYER, NOTHING)])
def test_a_single_head_of_at_most_a_layer_is_a_plain_network(kind: str) -> None:
    network, plain = build_untrained(kind, 1), build_untrained("parallel", 1)
    assert torch.equal(network(random_tokens()), plain(random_tokens()))
    assert network.non_embedding_parameters() == plain.non_embedding_parameters()


@pytest.mark.parametrize(
    "kind", [name for name, kind in KINDS.items() if kind.first == kind.further == LAYER and not kind.on_path]
)
def test_kinds_with_equal_parts_start_with_the_same_path(kind: str) -> None:
    network, parallel = build_untrained(kind), build_untrained("parallel")
    assert torch.equal(network.logits(random_tokens()), parallel.logits(random_tokens()))


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.replicated])
def test_replicated_unembeddings_start_equal_and_then_differ(kind: str) -> None:
    network = build_untrained(kind)
    matrices = network.unembedding.matrices
    assert all(torch.equal(matrix, matrices[0]) for matrix in matrices)
    network.logits(random_tokens(), head=2).square().sum().backward()
    assert [matrix.grad is not None for matrix in matrices] == [False, True, False]


def next_token_weights(network: Network) -> dict[str, Tensor]:
    """Return trunk, embedding and all that prediction head 1 uses, without the final norm and unembedding."""
    names, weights = zip(*network.named_parameters(), strict=True)
    hidden = network(random_tokens())[0]
    used = torch.autograd.grad(hidden.square().sum(), weights, allow_unused=True, materialize_grads=True)
    shared = ("norm.", "unembedding.")
    return {name: w for name, w, g in zip(names, weights, used, strict=True) if g.any() and not name.startswith(shared)}


@pytest.mark.parametrize("kind", DETACHABLE)
def test_detached_heads_send_no_gradient_to_the_trunk(kind: str) -> None:
    network = tiny_network(kind)
    attached, detached = network(random_tokens()), network(random_tokens(), context=DETACHED)
    assert torch.equal(attached, detached)
    weights = next_token_weights(network)
    assert {"embedding.weight", "trunk.0.attention.qkv.weight"} <= set(weights)
    upstream = torch.randn(detached[1:].shape, generator=torch.Generator().manual_seed(1))
    back = torch.autograd.grad(detached[1:], list(weights.values()), upstream, allow_unused=True, retain_graph=True)
    assert all(gradient is None or not gradient.any() for gradient in back)
    own = [weight for name, weight in network.named_parameters() if name.startswith("heads") and name not in weights]
    assert not own or all(gradient.any() for gradient in torch.autograd.grad(detached[1:], own, upstream))
    assert torch.autograd.grad(attached[1:], network.embedding.weight, upstream)[0].any()


@pytest.mark.parametrize("kind", DETACHABLE)
def test_head_1_trains_as_without_the_detached_heads(kind: str) -> None:
    network = tiny_network(kind)
    weights = list(next_token_weights(network).values())
    plain, detached = (
        torch.autograd.grad(network(random_tokens(), context=context)[0].square().sum(), weights)
        for context in (None, DETACHED)
    )
    assert all(torch.equal(one, other) for one, other in zip(plain, detached, strict=True))


@pytest.mark.parametrize("kind", [name for name in KINDS if name not in DETACHABLE])
def test_heads_on_the_path_cannot_be_detached_from_it(kind: str) -> None:
    with pytest.raises(LabError, match=kind):
        tiny_network(kind)(random_tokens(), context=DETACHED)
    tiny_network(kind, 1)(random_tokens(), context=DETACHED)


def test_a_users_kind_is_counted_read_and_trained(tmp_path: Path) -> None:
    experiment = tiny(model__heads="tests.helpers.users_heads:MLP", model__layers=4, n_future=3)
    network = build(experiment)
    assert network.non_embedding_parameters() == experiment.non_embedding_parameters
    assert len(network.trunk) == experiment.trunk_layers == network.spec.path_layers == 2
    heads = [name for name in site_names(network) if name.startswith("prediction")]
    assert heads == [f"prediction.{head}.residual" for head in (1, 2, 3)]
    run = lab.train(experiment, tmp_path / "run")
    assert run.model().spec == network.spec
