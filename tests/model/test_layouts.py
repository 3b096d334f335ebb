"""The paper's release and Fast-LLM's `mtp_llama`; the oracle is a naive transformer over the weights by the release's names."""

from typing import Any

import pytest
import torch

from lab.errors import LabError
from lab.model import Network
from lab.model.convert import from_release, from_transformers, llama_config, release_params
from lab.model.layouts import MTP_LLAMA, RELEASE, TRANSFORMERS, to_layout
from tests.helpers.llamas import release_logits
from tests.helpers.networks import random_tokens, tiny_network

CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def logits(network: Network, tokens_BT: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.stack([network.logits(tokens_BT, head) for head in range(1, network.n_future + 1)])


def assert_same(network: Network, other: Network) -> None:
    assert network.spec.model.model_copy(update={"layers": 0}) == other.spec.model.model_copy(update={"layers": 0})
    ours, theirs = network.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(weight, theirs[name]) for name, weight in ours.items())


@pytest.mark.parametrize("n_future", [1, 2, 4])
@pytest.mark.parametrize("changes", [{}, {"model__width": 24, "model__n_heads": 3, "model__rope_base": 500.0}])
def test_the_release_gives_the_same_logits(n_future: int, changes: dict[str, Any]) -> None:
    network = tiny_network("parallel", n_future, model__inner_width=20, model__norm_epsilon=1e-4, **changes)
    params, weights = release_params(network, n_future), to_layout(network, RELEASE, n_future)
    tokens_BT = random_tokens(3)
    torch.testing.assert_close(logits(network, tokens_BT), release_logits(params, weights, tokens_BT), **CLOSE)
    assert_same(network, from_release(params, weights))


@pytest.mark.parametrize("inner", [8, 20, 24, 56, 88, 1000])
def test_the_release_computes_the_same_inner_width(inner: int) -> None:
    params = release_params(tiny_network(model__inner_width=inner), 2)
    hidden = int(params["ffn_dim_multiplier"] * int(2 * 4 * params["dim"] / 3))  # the formula of FeedForward in the release
    multiple = params["multiple_of"]
    assert multiple * ((hidden + multiple - 1) // multiple) == inner


def mtp_llama(network: Network) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    weights, n = to_layout(network, MTP_LLAMA, network.n_future), network.n_future
    weights |= {f"model.mtp_norms.{number}.weight": network.norm.weight.detach().clone() for number in range(n)}
    return llama_config(network) | {"model_type": "mtp_llama", "prediction_heads": n}, weights


@pytest.mark.parametrize("n_future", [1, 2, 4])
def test_an_mtp_llama_becomes_a_network(n_future: int) -> None:
    network = tiny_network("parallel", n_future)
    assert_same(network, from_transformers(*mtp_llama(network)))


def test_norms_of_heads_become_unembeddings() -> None:
    network, tokens_BT = tiny_network("parallel", 3), random_tokens()
    config, weights = mtp_llama(network)
    expected = logits(network, tokens_BT)
    weights["model.mtp_norms.1.weight"] = 2 * weights["model.mtp_norms.1.weight"]
    expected[1] *= 2
    found = from_transformers(config, weights)
    assert found.spec.model.heads == "replicated"
    torch.testing.assert_close(logits(found, tokens_BT), expected)


def test_shared_keys_and_values_are_repeated() -> None:
    network, tokens_BT = tiny_network("parallel", 2, model__width=16, model__n_heads=4), random_tokens()
    params, weights = release_params(network, 2), to_layout(network, RELEASE, 2)
    for name in [name for name in weights if name.endswith((".wk.weight", ".wv.weight"))]:
        weights[name] = weights[name][:8].clone()  # two groups of attention heads
    torch.testing.assert_close(
        logits(from_release(params, weights), tokens_BT), release_logits(params, weights, tokens_BT), **CLOSE
    )


@pytest.mark.parametrize(
    ("kind", "n_future", "heads", "message"),
    [
        ("linear", 1, 1, "of kind linear is no sum of layers"),
        ("causal", 2, 2, "heads must be 1 with model.heads causal, not 2"),
        ("replicated", 2, 2, "heads must be 1 with model.heads replicated, not 2"),
        ("parallel", 2, 3, "heads must be between 1 and n_future = 2, not 3"),
    ],
)
def test_networks_that_no_layout_expresses_are_rejected(kind: str, n_future: int, heads: int, message: str) -> None:
    with pytest.raises(LabError, match=message):
        to_layout(tiny_network(kind, n_future), RELEASE, heads)


WRONG_WEIGHTS: dict[str, tuple[str, Any, str]] = {
    "missing": ("layers.0.attention.wq.weight", None, "the weights lack layers.0.attention.wq.weight"),
    "other shape": ("extra_heads.0.ffn_norm.weight", torch.ones(3), r"ffn_norm.weight must have shape \(8,\), not \(3,\)"),
    "keys": ("layers.1.attention.wk.weight", torch.ones(3, 8), "wk.weight must have rows for a divisor of 2"),
    "no matrix": ("layers.1.attention.wk.weight", torch.tensor(1.0), "wk.weight must have"),
    "whole numbers": ("output.weight", torch.ones(12, 8, dtype=torch.int8), "must hold floating-point numbers, not torch.int8"),
}


@pytest.mark.parametrize("what", WRONG_WEIGHTS)
def test_wrong_weights_are_rejected(what: str) -> None:
    name, value, message = WRONG_WEIGHTS[what]
    network = tiny_network("parallel", 2)
    weights = to_layout(network, RELEASE, 2)
    del weights[name]
    with pytest.raises(LabError, match=message):
        from_release(release_params(network, 2), weights if value is None else weights | {name: value})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": "8"}, "dim of the Llama must be a whole number above 0, not '8'"),
        ({"n_heads": None}, "n_heads of the Llama must be a whole number above 0, not None"),
        ({"dim": 7}, "the Llama is no network of ours: model.width must be"),
        ({"norm_eps": 0.0}, "norm_epsilon must be above 0"),
        ({"n_layers": 1}, "n_layers of the Llama must be at least n_future_tokens = 2, not 1"),
        ({"use_scaled_rope": True}, "use_scaled_rope of the Llama must be False, not True"),
    ],
)
def test_wrong_params_are_rejected(changes: dict[str, Any], message: str) -> None:
    network = tiny_network("parallel", 2)
    with pytest.raises(LabError, match=message):
        from_release(release_params(network, 2) | changes, to_layout(network, RELEASE, 2))


def test_an_mtp_llama_without_its_norms_is_rejected() -> None:
    network = tiny_network("parallel", 2)
    with pytest.raises(LabError, match=r"the weights must have 2 model.mtp_norms of 8 numbers"):
        from_transformers(mtp_llama(network)[0], to_layout(network, TRANSFORMERS))
