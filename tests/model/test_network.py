import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.config import SIZES, ModelSettings
from lab.config.kinds import KINDS
from lab.model import Network, NetworkSpec, build
from lab.model.layers import Layer, Linear
from tests.helpers.tiny import tiny

PUBLISHED = {"1M": 0.98e6, "3M": 3.1e6, "10M": 10.6e6, "30M": 31e6, "100M": 99e6, "300M": 315e6, "1B": 1.02e9}
"""Non-embedding parameters of Table S14 of the paper."""


def build_on_meta(n_future: int, **model: object) -> Network:
    settings = ModelSettings(**model)  # type: ignore[arg-type]
    with torch.device("meta"):
        return Network(NetworkSpec(settings, 24, n_future))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mlp", ["swiglu", "gelu"])
def test_sizes_have_the_papers_parameters_at_every_n(size: str, mlp: str) -> None:
    width, layers, _ = SIZES[size]
    counts = set()
    for n in (1, 2, 4):
        if n < layers:
            counts.add(build_on_meta(n, size=size, mlp=mlp).non_embedding_parameters())
    assert len(counts) == 1, "equal parameters at every n"
    (count,) = counts
    norms = (2 * layers + 1) * width
    assert count - norms == pytest.approx(12 * width**2 * layers, rel=0 if mlp == "gelu" else 0.01)
    assert count == pytest.approx(PUBLISHED[size], rel=0.02)


def test_unmatched_heads_are_added_to_the_network() -> None:
    networks = [build_on_meta(n, layers=4, matched="none") for n in (1, 2, 4)]
    one, two, four = (network.non_embedding_parameters() for network in networks)
    assert four - one == 3 * (two - one) > 0
    assert [len(network.trunk) for network in networks] == [3, 3, 3]


@given(st.integers(0, 19), st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_no_output_depends_on_a_later_token(changed: int, n_future: int) -> None:
    network = build(tiny(n_future=n_future, model__layers=4))
    tokens_BT = torch.arange(20)[None] % 12
    other_BT = tokens_BT.clone()
    other_BT[0, changed] = (tokens_BT[0, changed] + 7) % 12
    with torch.no_grad():
        one, other = network(tokens_BT), network(other_BT)
    assert torch.equal(one[:, :, :changed], other[:, :, :changed])
    assert not torch.equal(one[:, :, changed], other[:, :, changed])


def test_initial_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one = build(tiny(seed=5)).state_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(2)
    again, other = build(tiny(seed=5)).state_dict(), build(tiny(seed=6)).state_dict()
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["embedding.weight"], other["embedding.weight"])


@pytest.mark.parametrize("kind", KINDS)
def test_initial_weights_have_the_stated_scales(kind: str) -> None:
    network = build(tiny(model__heads=kind, model__width=64, model__layers=6, n_future=3))
    layers = [module for module in network.modules() if isinstance(module, Layer)]
    writers = {linear.weight for layer in layers for linear in (layer.attention.out, layer.mlp.down)}
    zeros = {linear.weight for linear in network.modules() if isinstance(linear, Linear) and linear.init == "zero"}
    for name, weight in network.named_parameters():
        if weight.ndim == 1 or weight in zeros:
            assert (weight == (weight.ndim == 1)).all(), name
        else:
            scale = weight.shape[1] ** -0.5 * ((2 * network.spec.path_layers) ** -0.5 if weight in writers else 1.0)
            wanted = 1.0 if name == "embedding.weight" else scale
            assert weight.square().mean().sqrt().item() == pytest.approx(wanted, rel=0.1), name


def test_embedding_and_unembedding_are_not_tied() -> None:
    network = build(tiny())
    assert network.embedding.weight.data_ptr() != network.unembedding.weight.data_ptr()


def test_a_network_can_be_trained_after_inference_mode() -> None:
    network, tokens_BT = build(tiny()), torch.zeros(1, 6, dtype=torch.int64)
    with torch.inference_mode():
        network(tokens_BT)
    network(tokens_BT).sum().backward()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mlp", ["swiglu", "gelu"])
def test_every_kind_trains_in_bfloat16_with_exact_norms(kind: str, mlp: str) -> None:
    network = build(tiny(model__heads=kind, model__mlp=mlp, model__width=16, model__layers=4))
    tokens_BT = torch.arange(2 * 12).view(2, 12) % 12
    exact = network(tokens_BT)
    with torch.autocast("cpu", torch.bfloat16):
        hidden = network(tokens_BT)
    hidden.float().square().mean().backward()  # outside autocast, as in training
    assert hidden.dtype == torch.bfloat16
    torch.testing.assert_close(hidden.float(), exact, rtol=0.05, atol=0.1)
    assert all(weight.grad is not None and weight.grad.dtype == torch.float32 for weight in network.trunk.parameters())
