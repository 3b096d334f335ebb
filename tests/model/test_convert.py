"""Conversion to and from `transformers`' Llama, whose logits are the oracle."""

import sys
from typing import Any

import pytest
import torch

from lab.config.kinds import KINDS, LAYER, NOTHING
from lab.decoding import complete
from lab.errors import LabError
from lab.inspection.instruments import INSTRUMENTS
from lab.model import Network
from lab.model.convert import from_llama, to_llama
from tests.helpers.llamas import tiny_llama
from tests.helpers.networks import random_tokens, tiny_network
from tests.helpers.tiny import tiny

transformers = pytest.importorskip("transformers")


@torch.no_grad()
def assert_equal_logits(network: Network, llama: Any) -> None:
    for length in (5, 30, 17):  # the RoPE cache is extended first and partly used then
        tokens_BT = random_tokens(3, length)
        torch.testing.assert_close(network.logits(tokens_BT), llama(tokens_BT).logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.first in (LAYER, NOTHING)])
@pytest.mark.parametrize("n_future", [1, 3])
def test_the_next_token_path_becomes_a_llama(kind: str, n_future: int) -> None:
    network = tiny_network(kind, n_future, model__width=24, model__n_heads=3, model__rope_base=500.0)
    assert_equal_logits(network, to_llama(network))


def test_a_llama_generates_as_the_network() -> None:
    network, prompt_BT = tiny_network(), random_tokens(2, 5)
    generated_BT = to_llama(network).generate(
        prompt_BT,
        max_new_tokens=6,
        do_sample=False,
        attention_mask=torch.ones_like(prompt_BT),
        pad_token_id=0,
        eos_token_id=None,
    )
    for _ in range(6):
        prompt_BT = torch.cat([prompt_BT, network.next_logits(prompt_BT).argmax(-1, keepdim=True)], dim=1)
    assert torch.equal(generated_BT, prompt_BT)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("base", [100.0, 10_000.0])
def test_a_llama_becomes_a_network(layers: int, base: float) -> None:
    llama = tiny_llama(num_hidden_layers=layers, rope_parameters={"rope_type": "default", "rope_theta": base})
    network = from_llama(llama)
    assert network.n_future == 1
    assert_equal_logits(network, llama)
    again = to_llama(network).state_dict()
    assert all(torch.equal(weight, again[name]) for name, weight in llama.state_dict().items())


@pytest.mark.parametrize(
    "changes",
    [
        {"num_attention_heads": 4, "num_key_value_heads": 1},
        {"num_attention_heads": 4, "num_key_value_heads": 2},
        {"tie_word_embeddings": True},
        {"rms_norm_eps": 1e-2},
        {"intermediate_size": 17},
    ],
)
def test_llamas_with_other_parts_become_networks(changes: dict[str, Any]) -> None:
    llama = tiny_llama(**changes)
    network = from_llama(llama)
    assert_equal_logits(network, llama)
    assert_equal_logits(network, to_llama(network))
    completed = complete(network, [[1, 2, 3]], 5, None, None).tokens_BT  # completes through a cache
    assert torch.equal(completed, llama.generate(torch.tensor([[1, 2, 3]]), max_new_tokens=5, do_sample=False))


@pytest.mark.parametrize(
    "changes",
    [
        {"head_dim": 16},
        {"hidden_act": "gelu"},
        {"attention_bias": True},
        {"mlp_bias": True},
        {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}},
    ],
)
def test_other_llamas_are_rejected(changes: dict[str, Any]) -> None:
    name = next(iter(changes)).replace("parameters", "type")
    with pytest.raises(LabError, match=f"^{name} of the Llama must be ") as caught:
        from_llama(tiny_llama(**changes))
    assert "\n" not in str(caught.value)


def test_other_networks_are_rejected() -> None:
    with pytest.raises(LabError, match="of kind linear is no sum of layers"):
        to_llama(tiny_network("linear"))
    with pytest.raises(LabError, match=r"model\.mlp must be swiglu in a Llama, not gelu"):
        to_llama(tiny_network(model__mlp="gelu"))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)  # the import fails
    with pytest.raises(LabError, match="transformers is not installed"):
        to_llama(tiny_network())


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_every_instrument_measures_an_imported_llama(name: str) -> None:
    task = tiny("agreement").task
    network = from_llama(tiny_llama(vocab_size=task.vocab_size))
    with torch.no_grad():
        assert len(INSTRUMENTS[name].load_measure()(network, task, sequences=8))
