"""Reading and editing activations, in every kind of network."""

import pytest
import torch
from torch import Tensor

from lab.config.kinds import KINDS
from lab.errors import LabError
from lab.model import Network, edited, site_names, states
from lab.model.kernels import apply_rope
from tests.helpers.networks import random_tokens, tiny_network

EVERY = pytest.mark.parametrize("kind", KINDS)
TOKENS = random_tokens()
LAYER_SITES = ("attention.values", "attention.pattern", "attention.heads", "attention", "mlp", "residual")


def all_logits(network: Network) -> Tensor:
    """Return the logits of all prediction heads, (N, B, T, V), from one pass."""
    return torch.stack([network.unembed(state_BTD, head) for head, state_BTD in enumerate(network(TOKENS), start=1)])


@EVERY
def test_every_activation_of_a_kind_has_a_name(kind: str) -> None:
    network = tiny_network(kind)
    expected = {"embedding", *(f"{name}.{i}" for name in ("final", "logits") for i in (1, 2, 3))}
    expected |= {f"trunk.{layer}.{site}" for layer in range(len(network.trunk)) for site in LAYER_SITES}
    for head in (1, 2, 3):
        sites = LAYER_SITES if KINDS[kind].attends(head) else ("residual",)
        expected |= {f"prediction.{head}.{site}" for site in sites}
    names = site_names(network)
    assert set(names) == expected
    assert len(names) == len(expected)
    assert network.sites is None


@EVERY
@torch.no_grad()
def test_sites_of_a_head_are_those_that_it_depends_on(kind: str) -> None:
    network = tiny_network(kind)
    for head in (1, 2, 3):
        names = site_names(network, head)
        others = set(site_names(network)) - set(names)
        assert others
        assert set(names) < set(site_names(network))
        assert [name for name in names if name.startswith(("final", "logits"))] == [f"final.{head}", f"logits.{head}"]
        plain = network.logits(TOKENS, head)
        with edited(network, dict.fromkeys(others, torch.zeros_like)):
            assert torch.equal(network.logits(TOKENS, head), plain)


def recompute_layer(layer: torch.nn.Module, before: Tensor, rope: Tensor) -> dict[str, Tensor]:
    """Compute the activations of a layer from its input with plain products."""
    qkv = (layer.attention_norm(before) @ layer.attention.qkv.weight.T).unflatten(-1, (3, 2, -1))
    queries, keys = (apply_rope(qkv[:, :, i : i + 1], rope)[:, :, 0] for i in (0, 1))
    scores = torch.einsum("bqhk,bshk->bhqs", queries, keys) / qkv.shape[-1] ** 0.5
    pattern = scores.exp() * torch.ones_like(scores).tril()
    pattern = pattern / pattern.sum(-1, keepdim=True)
    heads = torch.einsum("bhqs,bshk->bqhk", pattern, qkv[:, :, 2])
    attention = heads.flatten(2) @ layer.attention.out.weight.T
    middle = before + attention
    mlp = layer.mlp(layer.mlp_norm(middle))
    return dict(zip(LAYER_SITES, (qkv[:, :, 2], pattern, heads, attention, mlp, middle + mlp), strict=True))


@EVERY
@pytest.mark.parametrize("mlp", ["swiglu", "gelu"])
def test_each_activation_equals_its_recomputation(kind: str, mlp: str) -> None:
    network = tiny_network(kind, model__mlp=mlp).double()
    found, context = states(network, TOKENS, site_names(network)), network.complete_context(TOKENS)
    torch.testing.assert_close(found["embedding"], network.embedding.weight[TOKENS])
    before = found["embedding"]
    for number, layer in enumerate(network.trunk):
        for site, expected in recompute_layer(layer, before, context.rope).items():
            torch.testing.assert_close(found[f"trunk.{number}.{site}"], expected)
        before = found[f"trunk.{number}.residual"]
    for head, state in enumerate(network.heads(before, [1, 2, 3], context), start=1):
        torch.testing.assert_close(found[f"prediction.{head}.residual"], state)
        torch.testing.assert_close(found[f"final.{head}"], network.norm(state))
        torch.testing.assert_close(found[f"logits.{head}"], network.norm(state) @ network.unembedding.of_head(head).T)


@EVERY
@torch.no_grad()
def test_editing_with_the_identity_changes_nothing(kind: str) -> None:
    network = tiny_network(kind, model__layers=5).double()
    plain = all_logits(network)
    for name in site_names(network):
        with edited(network, {name: lambda activation: activation.clone()}):
            torch.testing.assert_close(all_logits(network), plain, rtol=0, atol=1e-12, msg=name)
    assert torch.equal(all_logits(network), plain)


@EVERY
@torch.no_grad()
def test_every_edit_changes_an_output(kind: str) -> None:
    network = tiny_network(kind, model__layers=5)
    plain = all_logits(network)
    for name in site_names(network):
        with edited(network, {name: lambda activation: activation.flip(1)}):  # over positions, or attention heads
            assert not torch.allclose(all_logits(network), plain), name


def test_reading_does_not_change_the_outputs() -> None:
    network, names = tiny_network(), site_names(tiny_network())
    plain = network.logits(TOKENS, 2)
    assert torch.equal(states(network, TOKENS, names)["logits.2"], plain)


@pytest.mark.parametrize("name", ["trunk.1", "prediction.2"])
@pytest.mark.parametrize("site", ["pattern", "heads"])
def test_zeroing_an_attention_head_equals_ablation_by_hand(name: str, site: str) -> None:
    network, ablated = tiny_network(), tiny_network()
    layer = ablated.get_submodule(name if name.startswith("trunk") else "heads.layers.1")
    with torch.no_grad():
        layer.attention.out.weight[:, :4] = 0  # attention head 0 of two of width 4

    def ablate(activation: Tensor) -> Tensor:
        activation = activation.clone()
        activation[(slice(None), 0) if site == "pattern" else (slice(None), slice(None), 0)] = 0
        return activation

    with edited(network, {f"{name}.attention.{site}": ablate}):
        torch.testing.assert_close(network(TOKENS), ablated(TOKENS))


def test_an_edit_in_place_is_an_edit() -> None:
    network = tiny_network()
    with torch.no_grad(), edited(network, {"trunk.0.attention.pattern": lambda pattern: pattern.zero_()}):
        assert not states(network, TOKENS, ["trunk.0.attention.heads"])["trunk.0.attention.heads"].any()


def test_edits_nest_and_end_with_their_context() -> None:
    network, name = tiny_network(), "trunk.0.mlp"
    plain = states(network, TOKENS, [name])[name]
    with edited(network, {name: lambda mlp: mlp + 1}):
        with edited(network, {name: lambda mlp: mlp * 2, "final.1": torch.zeros_like}):
            found = states(network, TOKENS, [name, "final.1"])
        assert states(network, TOKENS, ["final.1"])["final.1"].any()
    torch.testing.assert_close(found[name], (plain + 1) * 2)
    assert not found["final.1"].any()
    with pytest.raises(ZeroDivisionError), edited(network, {name: torch.zeros_like}):
        raise ZeroDivisionError  # an error ends an edit too
    assert torch.equal(states(network, TOKENS, [name])[name], plain)


def test_gradients_flow_through_read_activations() -> None:
    network = tiny_network()
    found = states(network, TOKENS, ["trunk.0.residual", "logits.2"])
    (gradient,) = torch.autograd.grad(found["logits.2"].sum(), found["trunk.0.residual"])
    assert gradient.any()


def test_layers_above_the_branch_are_read_with_a_further_head() -> None:
    network, names = tiny_network(model__head_layer=1), ["trunk.2.residual", "prediction.2.residual", "final.3"]
    found, every = states(network, TOKENS, names), states(network, TOKENS, site_names(network))
    assert list(found) == names
    assert all(torch.equal(found[name], every[name]) for name in names)


def test_a_hidden_token_has_the_embedding_of_the_mask() -> None:
    network = tiny_network(task="star", n_future=1, objective__teacherless=True)
    hidden_BT = torch.full((1, 3), network.spec.vocabulary)
    assert torch.equal(states(network, hidden_BT, ["embedding"])["embedding"], network.mask.expand(1, 3, -1))


def misspell_an_edit(network: Network) -> None:
    with edited(network, {"trunk.0.mpl": torch.zeros_like}):
        pass


@pytest.mark.parametrize("use", [misspell_an_edit, lambda network: states(network, TOKENS, ["trunk.0.mpl"])])
def test_a_wrong_name_is_rejected_with_the_nearest(use: object) -> None:
    with pytest.raises(LabError, match=r"no activation 'trunk\.0\.mpl'; did you mean 'trunk\.0\.mlp'\?"):
        use(tiny_network())  # type: ignore[operator]


def test_next_logits_are_those_of_the_last_position() -> None:
    network = tiny_network()
    torch.testing.assert_close(network.next_logits(TOKENS), network.logits(TOKENS)[:, -1])
    with edited(network, {"logits.1": torch.zeros_like}):
        assert not network.next_logits(TOKENS).any()
