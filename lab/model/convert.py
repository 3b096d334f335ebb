"""Networks as Llamas of `transformers`, and Llamas as networks.

`transformers` is not needed otherwise: `pip install 'mtp-lab[benchmarks]'` installs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lab.config import ModelSettings
from lab.errors import LabError
from lab.model.layers import NORM_EPSILON, Layer, Swiglu
from lab.model.network import Network
from lab.model.paths import path_layers
from lab.model.spec import NetworkSpec

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

_NAMES = {
    "input_layernorm": "attention_norm",
    "self_attn.o_proj": "attention.out",
    "post_attention_layernorm": "mlp_norm",
    "mlp.gate_proj": "mlp.gate",
    "mlp.up_proj": "mlp.up",
    "mlp.down_proj": "mlp.down",
}
"""Weights of a Llama's layer and ours that are equal. Its queries, keys and values are parts of one matrix of ours."""


def to_llama(network: Network) -> LlamaForCausalLM:
    """Return the next-token path of a network as a Llama with the same logits, which `transformers` can generate from and save.

    It has the trunk and the layers of prediction head 1; other heads and the embedding of hidden tokens are left out. The
    weights are copied.

    Args:
        network: Any network whose next-token path is made of layers with a gated MLP.

    Raises:
        LabError: If the path has other parts, or `transformers` is not installed.
    """
    config, model = _transformers()
    layers, settings = path_layers(network), network.spec.model
    if settings.mlp != "swiglu":
        raise LabError(f"model.mlp must be swiglu in a Llama, not {settings.mlp}")
    if not layers:
        raise LabError("model.layers must be at least 1 in a Llama")
    llama: Any = model(
        config(
            vocab_size=network.spec.vocabulary,
            hidden_size=settings.width,
            intermediate_size=len(layers[0].get_parameter("mlp.up.weight")),
            num_hidden_layers=len(layers),
            num_attention_heads=settings.n_heads,
            num_key_value_heads=settings.n_heads,
            rms_norm_eps=NORM_EPSILON,
            rope_parameters={"rope_type": "default", "rope_theta": settings.rope_base},
            tie_word_embeddings=False,
        )
    )
    weights = _equal_weights(network, layers)
    for number, layer in enumerate(layers):
        queries, keys, values = layer.attention.qkv.weight.chunk(3)
        both = [_halves(each, settings.n_heads) for each in (queries, keys)]
        weights |= dict(zip(_projections(number), [*both, values], strict=True))
    llama.load_state_dict(weights)
    moved: LlamaForCausalLM = llama.to(network.embedding.weight).eval()
    return moved


def from_llama(llama: LlamaForCausalLM) -> Network:
    """Return a Llama as a network with one prediction head, for which every instrument works. The weights are copied.

    Args:
        llama: A Llama with as many key and value heads as attention heads, without biases or scaled rotary positions, with an
            unembedding of its own and `rms_norm_eps` 1e-6; the inner width of its MLPs is free.

    Raises:
        LabError: For a model with anything else, naming the first setting that does not fit.
    """
    config: Any = llama.config
    _check(config)
    settings = ModelSettings(
        width=config.hidden_size,
        layers=config.num_hidden_layers,
        n_heads=config.num_attention_heads,
        rope_base=config.rope_parameters["rope_theta"],
    )
    weights = llama.state_dict()
    with torch.device("meta"):
        network = Network(NetworkSpec(settings, config.vocab_size))
        layers = path_layers(network)
        for layer in layers:
            layer.mlp = Swiglu(config.hidden_size, config.intermediate_size)
    network.to_empty(device=llama.device).to(weights["lm_head.weight"].dtype)
    with torch.no_grad():
        for name, weight in _equal_weights(network, layers).items():
            weight.copy_(weights[name])
        for number, layer in enumerate(layers):
            queries, keys, values = (weights[name] for name in _projections(number))
            both = [_pairs(each, settings.n_heads) for each in (queries, keys)]
            layer.attention.qkv.weight.copy_(torch.cat([*both, values]))
    return network.eval()


def _transformers() -> tuple[Any, Any]:
    try:
        from transformers import LlamaConfig, LlamaForCausalLM
    except ImportError as error:
        raise LabError("transformers is not installed: pip install 'mtp-lab[benchmarks]'") from error
    return LlamaConfig, LlamaForCausalLM


def _check(config: Any) -> None:
    """Reject a Llama that our network cannot be."""
    needed = {
        "model_type": "llama",
        "num_key_value_heads": config.num_attention_heads,
        "head_dim": config.hidden_size // config.num_attention_heads,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "rms_norm_eps": NORM_EPSILON,
    }
    for name, value in needed.items():
        if getattr(config, name) != value:
            raise LabError(f"{name} of the Llama must be {value}, not {getattr(config, name)}")
    kind = config.rope_parameters["rope_type"]
    if kind != "default":
        raise LabError(f"rope_type of the Llama must be default, not {kind}")


def _equal_weights(network: Network, layers: Sequence[Layer]) -> dict[str, Tensor]:
    """Return our weights by the Llama's names, without queries, keys and values."""
    weights: dict[str, Tensor] = {
        "model.embed_tokens.weight": network.embedding.weight,
        "model.norm.weight": network.norm.weight,
        "lm_head.weight": network.unembedding.of_head(1),
    }
    for number, layer in enumerate(layers):
        for theirs, ours in _NAMES.items():
            weights[f"model.layers.{number}.{theirs}.weight"] = layer.get_parameter(f"{ours}.weight")
    return weights


def _projections(number: int) -> list[str]:
    """Return the Llama's names of a layer's queries, keys and values."""
    return [f"model.layers.{number}.self_attn.{part}_proj.weight" for part in "qkv"]


def _halves(weight: Tensor, n_heads: int) -> Tensor:
    """Reorder the features of each attention head from pairs (2k, 2k + 1), as ours, to pairs (k, k + K / 2)."""
    return weight.view(n_heads, -1, 2, weight.shape[1]).transpose(1, 2).reshape(weight.shape)


def _pairs(weight: Tensor, n_heads: int) -> Tensor:
    """Reorder the features of each attention head from pairs (k, k + K / 2) to pairs (2k, 2k + 1), as ours."""
    return weight.view(n_heads, 2, -1, weight.shape[1]).transpose(1, 2).reshape(weight.shape)
