"""Networks as Llamas of `transformers`, and published Llamas as networks.

`transformers` is needed for its classes alone: `pip install 'mtp-lab[hf]'` installs it. `lab.exchange` reads and writes files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError
from torch import Tensor

from lab.config import ModelSettings
from lab.config.cost import inner_width
from lab.errors import LabError
from lab.model.layouts import MTP_LLAMA, RELEASE, TRANSFORMERS, from_layout, to_layout
from lab.model.network import Network
from lab.model.paths import path_layers
from lab.model.spec import NetworkSpec

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM


def to_llama(network: Network) -> LlamaForCausalLM:
    """Return the next-token path of a network as a Llama with the same logits, which `transformers` can generate from and save.

    It has the trunk and the layers of prediction head 1; other heads and the embedding of hidden tokens are left out. The
    weights are copied.

    Args:
        network: Any network whose next-token path is made of layers with a gated MLP.

    Raises:
        LabError: If the path has other parts, or `transformers` is not installed.
    """
    try:
        from transformers import LlamaConfig, LlamaForCausalLM
    except ImportError as error:
        raise LabError("transformers is not installed: pip install 'mtp-lab[hf]'") from error
    weights = to_layout(network, TRANSFORMERS)
    llama: Any = LlamaForCausalLM(LlamaConfig(**llama_config(network)))
    llama.load_state_dict(weights)
    moved: LlamaForCausalLM = llama.to(network.embedding.weight).eval()
    return moved


def from_llama(llama: LlamaForCausalLM) -> Network:
    """Return a Llama as a network with one prediction head, for which every instrument works. The weights are copied.

    Args:
        llama: A Llama without biases or scaled rotary positions, whose attention heads together are as wide as its states; as
            `MTPLlamaForCausalLM` of Fast-LLM it has further prediction heads.

    Raises:
        LabError: For a model with anything else, naming the first setting that does not fit.
    """
    return from_transformers(llama.config.to_dict(), llama.state_dict())


def llama_config(network: Network) -> dict[str, Any]:
    """Return the `config.json` of a network's next-token path, which `transformers` 4 and 5 read."""
    settings = network.spec.model
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": network.spec.vocabulary,
        "hidden_size": settings.width,
        "intermediate_size": settings.inner_width or inner_width(settings.width, settings.mlp),
        "num_hidden_layers": len(path_layers(network)),
        "num_attention_heads": settings.n_heads,
        "num_key_value_heads": settings.n_heads,
        "head_dim": settings.width // settings.n_heads,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "rms_norm_eps": settings.norm_epsilon,
        "rope_parameters": {"rope_type": "default", "rope_theta": settings.rope_base},
        "rope_theta": settings.rope_base,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": None,
        "dtype": str(network.embedding.weight.dtype).removeprefix("torch."),
    }


def release_params(network: Network, heads: int) -> dict[str, Any]:
    """Return the `params.json` with which the class of the paper's release computes the first prediction heads of a network.

    The class derives the inner width of MLPs: `multiple_of` is that width here, and `ffn_dim_multiplier` rounds up to it once.
    """
    settings = network.spec.model
    inner = settings.inner_width or inner_width(settings.width, settings.mlp)
    return {
        "dim": settings.width,
        "n_layers": len(path_layers(network)) + heads - 1,
        "n_heads": settings.n_heads,
        "vocab_size": network.spec.vocabulary,
        "multiple_of": inner,
        "ffn_dim_multiplier": inner / (8 * settings.width // 3),
        "norm_eps": settings.norm_epsilon,
        "rope_theta": settings.rope_base,
        "n_future_tokens": heads,
    }


def from_transformers(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Network:
    """Build a network from the content of a `config.json` and the weights beside it.

    A model of type `mtp_llama` (Fast-LLM) has a final norm for each prediction head. Where these differ the network has
    replicated heads, each unembedding times its norm's weight, which are the same logits.

    Raises:
        LabError: If the config is not that of a Llama that our network can express, or the weights do not fit it.
    """
    spec = _read_config(config)
    if config.get("tie_word_embeddings") and TRANSFORMERS.embedding in weights:
        weights = {TRANSFORMERS.unembedding: weights[TRANSFORMERS.embedding], **weights}
    if config["model_type"] == "llama":
        return from_layout(spec, weights, TRANSFORMERS)
    named = [weights.get(f"model.mtp_norms.{number}.weight") for number in range(spec.n_future)]
    norms = [norm for norm in named if norm is not None and norm.shape == (spec.model.width,)]
    if len(norms) < spec.n_future:
        raise LabError(f"the weights must have {spec.n_future} model.mtp_norms of {spec.model.width} numbers")
    if all(torch.equal(norm, norms[0]) for norm in norms):
        return from_layout(spec, weights, MTP_LLAMA)
    replicated = spec.model.model_copy(update={"heads": "replicated"})
    network = from_layout(NetworkSpec(replicated, spec.vocabulary, spec.n_future), weights, MTP_LLAMA)
    with torch.no_grad():
        network.norm.weight.fill_(1.0)
        for number, norm in enumerate(norms, start=1):
            network.unembedding.of_head(number).mul_(norm)
    return network


def from_release(params: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Network:
    """Build a network from the content of Meta's `params.json` and the weights beside it, with `extra_heads` if it has them.

    Raises:
        LabError: If the params are not those of a Llama that our network can express, or the weights do not fit them.
    """
    _check(params, {"use_scaled_rope": False})
    n = _positive(params, "n_future_tokens", 1)
    width, layers, n_heads = (_positive(params, name) for name in ("dim", "n_layers", "n_heads"))
    if layers < n:
        raise LabError(f"n_layers of the Llama must be at least n_future_tokens = {n}, not {layers}")
    inner = weights.get(RELEASE.layers(1, 1)[0] + ".feed_forward.w1.weight", torch.empty(0))
    settings = _settings(
        width=width,
        layers=layers,
        n_heads=n_heads,
        inner=inner.shape[:1].numel() or None,
        epsilon=params.get("norm_eps", 1e-5),
        rope_base=params.get("rope_theta", 10_000.0),
    )
    embedding = weights.get(RELEASE.embedding, torch.empty(0))
    return from_layout(NetworkSpec(settings, embedding.shape[:1].numel(), n), weights, RELEASE)


def _read_config(config: Mapping[str, Any]) -> NetworkSpec:
    """Return the spec of the network that a `config.json` describes."""
    kind = config.get("model_type")
    if kind not in ("llama", "mtp_llama"):
        raise LabError(f"model_type of the Llama must be llama or mtp_llama, not {kind!r}")
    n = _positive(config, "prediction_heads", 1) if kind == "mtp_llama" else 1
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    vocabulary, width, inner, layers, n_heads = (_positive(config, name) for name in names)
    rope = {**(config.get("rope_scaling") or {}), **(config.get("rope_parameters") or {})}
    _check(
        {"rope_type": rope.get("type", "default"), **config, **rope},
        {
            "head_dim": width // n_heads,
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
            "rope_type": "default",
            "partial_rotary_factor": 1.0,
            "quantization_config": None,
        },
    )
    settings = _settings(
        width=width,
        layers=layers + n - 1,
        n_heads=n_heads,
        inner=inner,
        epsilon=config.get("rms_norm_eps", 1e-6),
        rope_base=rope.get("rope_theta", config.get("rope_theta", 10_000.0)),
    )
    return NetworkSpec(settings, vocabulary, n)


def _settings(*, width: int, layers: int, n_heads: int, inner: int | None, epsilon: Any, rope_base: Any) -> ModelSettings:
    """Return the settings of a network with parallel heads; an inner width that is our default stays unset."""
    from lab.config.files import complaint

    try:
        return ModelSettings(
            width=width,
            layers=layers,
            n_heads=n_heads,
            inner_width=None if inner == inner_width(width, "swiglu") else inner,
            norm_epsilon=epsilon,
            rope_base=rope_base,
        )
    except ValidationError as error:
        raise LabError(f"the Llama is no network of ours: {complaint(error)}") from error


def _positive(config: Mapping[str, Any], name: str, default: int | None = None) -> int:
    """Return a whole number above 0; without a default it must be there."""
    value = config.get(name)
    value = default if value is None else value
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise LabError(f"{name} of the Llama must be a whole number above 0, not {value!r}")
    return value


def _check(config: Mapping[str, Any], needed: Mapping[str, Any]) -> None:
    """Reject settings that differ from our network's; one that is null or left out is not checked."""
    for name, value in needed.items():
        if config.get(name) not in (None, value):
            raise LabError(f"{name} of the Llama must be {value}, not {config[name]}")
