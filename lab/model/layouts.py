"""Published layouts of a Llama's weights: their names, and which features rotary positions pair.

B sequences, D width, H attention heads, K width of one attention head, N prediction heads, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lab.errors import LabError, check_head
from lab.model.layers import Layer
from lab.model.network import Network
from lab.model.paths import path_layers
from lab.model.spec import NetworkSpec


@dataclass(frozen=True)
class Layout:
    """How a format names the weights of a Llama.

    Attributes:
        embedding: Name of the embedding (V, D).
        norm: Of the weight of the final norm (D,).
        unembedding: Of the unembedding (V, D).
        path: Of a layer of the next-token path, from 0; head 1 is the last of them.
        head: Of the layer of prediction head 2 + i.
        layer: Names within a layer, of the weights that ours have as well, by our names.
        projections: Names within a layer of the matrices of queries, keys and values.
        halves: Whether rotary positions pair features k and k + K/2 of an attention head; else 2k and 2k + 1, as ours do.
    """

    embedding: str
    norm: str
    unembedding: str
    path: str
    head: str
    layer: Mapping[str, str]
    projections: tuple[str, str, str]
    halves: bool

    def layers(self, count: int, n_future: int) -> list[str]:
        """List the names of the layers: those of the next-token path, then prediction heads 2 to N."""
        return [self.path.format(i) for i in range(count)] + [self.head.format(i) for i in range(n_future - 1)]


TRANSFORMERS = Layout(
    embedding="model.embed_tokens.weight",
    norm="model.norm.weight",
    unembedding="lm_head.weight",
    path="model.layers.{}",
    head="",
    layer={
        "attention_norm": "input_layernorm",
        "attention.out": "self_attn.o_proj",
        "mlp_norm": "post_attention_layernorm",
        "mlp.gate": "mlp.gate_proj",
        "mlp.up": "mlp.up_proj",
        "mlp.down": "mlp.down_proj",
    },
    projections=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    halves=True,
)
"""`LlamaForCausalLM` of `transformers`, which has no prediction heads but head 1."""
MTP_LLAMA = replace(TRANSFORMERS, norm="model.mtp_norms.0.weight", head="model.mtp_heads.{}")
"""`MTPLlamaForCausalLM` of Fast-LLM, in which each prediction head has a final norm of its own, `model.mtp_norms.<i>`."""
RELEASE = Layout(
    embedding="tok_embeddings.weight",
    norm="norm.weight",
    unembedding="output.weight",
    path="layers.{}",
    head="extra_heads.{}",
    layer={
        "attention_norm": "attention_norm",
        "attention.out": "attention.wo",
        "mlp_norm": "ffn_norm",
        "mlp.gate": "feed_forward.w1",
        "mlp.up": "feed_forward.w3",
        "mlp.down": "feed_forward.w2",
    },
    projections=("attention.wq", "attention.wk", "attention.wv"),
    halves=False,
)
"""The models that the paper released (facebook/multi-token-prediction): Meta's Llama with `extra_heads`."""


def to_layout(network: Network, layout: Layout, heads: int = 1) -> dict[str, Tensor]:
    """Return copies of a network's weights under the names of a layout.

    Args:
        network: One that `check_expressible` accepts.
        layout: The names.
        heads: How many prediction heads, from head 1.

    Raises:
        LabError: As `check_expressible`.
    """
    check_expressible(network, heads)
    path, n_heads = path_layers(network), network.spec.model.n_heads
    layers = [*path, *(path_layers(network, head)[-1] for head in range(2, heads + 1))]
    weights: dict[str, Tensor] = {
        layout.embedding: network.embedding.weight,
        layout.norm: network.norm.weight,
        layout.unembedding: network.unembedding.of_head(1),
    }
    for name, layer in zip(layout.layers(len(path), heads), layers, strict=True):
        weights |= _layer_to(layout, name, layer, n_heads)
    return {name: weight.detach().clone() for name, weight in weights.items()}


def check_expressible(network: Network, heads: int) -> None:
    """Reject a network that the layouts cannot express.

    Raises:
        LabError: If the next-token path is no sum of layers with gated MLPs, there is no such head, or a head above 1 is not
            one layer on the trunk's output with the unembedding of all.
    """
    settings, kind = network.spec.model, network.spec.kind
    check_head(heads, network.n_future, "heads")
    if settings.mlp != "swiglu":
        raise LabError(f"model.mlp must be swiglu in a Llama, not {settings.mlp}")
    if not path_layers(network):
        raise LabError("model.layers must be at least 1 in a Llama")
    if heads > 1 and (not kind.stackable or kind.replicated):
        raise LabError(
            f"heads must be 1 with model.heads {settings.heads}, not {heads}: published layouts have prediction heads of kind"
            " parallel alone"
        )
    if heads > 1 and network.layers_before(2) < len(network.trunk):
        raise LabError(
            f"heads must be 1 with model.head_layer {settings.head_layer}, not {heads}: published layouts have prediction heads"
            " on the trunk's output alone"
        )


def from_layout(spec: NetworkSpec, weights: Mapping[str, Tensor], layout: Layout) -> Network:
    """Build a network from the weights of a layout, which are copied in their own type.

    Keys and values that several attention heads share are repeated for each of them.

    Args:
        spec: Of the network, with parallel or replicated prediction heads.
        weights: By the layout's names; others are ignored.
        layout: The names.

    Raises:
        LabError: Naming the first weight that is missing or has another shape.
    """
    with torch.device("meta"):
        network = Network(spec)
    path = len(path_layers(network))
    ours = [f"trunk.{number}" for number in range(path - 1)] + [f"heads.layers.{number}" for number in range(spec.n_future)]
    state = {name: _take(weights, getattr(layout, name.split(".")[0]), weight) for name, weight in _outside(network).items()}
    for own, name in zip(ours, layout.layers(path, spec.n_future), strict=True):
        layer = network.get_submodule(own)
        assert isinstance(layer, Layer)
        state |= {f"{own}.{part}": weight for part, weight in _layer_from(layout, name, layer, weights, spec).items()}
    network.load_state_dict(state, assign=True)
    return network.requires_grad_().eval()


def _outside(network: Network) -> dict[str, Tensor]:
    """Return the weights outside of layers by name."""
    return {name: weight for name, weight in network.named_parameters() if name.split(".")[0] not in ("trunk", "heads")}


def _layer_to(layout: Layout, name: str, layer: Layer, n_heads: int) -> dict[str, Tensor]:
    """Return the weights of a layer under a layout's names."""
    weights: dict[str, Tensor] = {
        f"{name}.{theirs}.weight": layer.get_parameter(f"{ours}.weight") for ours, theirs in layout.layer.items()
    }
    for part, (theirs, weight) in enumerate(zip(layout.projections, layer.attention.qkv.weight.chunk(3), strict=True)):
        weights[f"{name}.{theirs}.weight"] = _halves(weight, n_heads) if layout.halves and part < 2 else weight
    return weights


def _layer_from(layout: Layout, name: str, layer: Layer, weights: Mapping[str, Tensor], spec: NetworkSpec) -> dict[str, Tensor]:
    """Return the weights of a layer under our names."""
    state = {
        f"{ours}.weight": _take(weights, f"{name}.{theirs}.weight", layer.get_parameter(f"{ours}.weight"))
        for ours, theirs in layout.layer.items()
    }
    D, H = spec.model.width, spec.model.n_heads
    parts = []
    for part, theirs in enumerate(layout.projections):
        full = f"{name}.{theirs}.weight"
        rows = weights[full].shape[:1].numel() if full in weights and part else D
        shared = rows // (D // H)  # attention heads with keys of their own
        if not shared or H % shared:
            raise LabError(f"{full} must have rows for a divisor of {H} attention heads, not {tuple(weights[full].shape)}")
        weight = _take(weights, full, layer.attention.qkv.weight[: shared * (D // H)])
        weight = _pairs(weight, shared) if layout.halves and part < 2 else weight
        parts.append(weight.view(shared, -1, D).repeat_interleave(H // shared, 0).flatten(0, 1))
    return state | {"attention.qkv.weight": torch.cat(parts)}


def _take(weights: Mapping[str, Tensor], name: str, like: Tensor) -> Tensor:
    """Return a copy of a weight that has the shape of ours."""
    if name not in weights:
        raise LabError(f"the weights lack {name}")
    if not weights[name].is_floating_point():
        raise LabError(f"{name} must hold floating-point numbers, not {weights[name].dtype}")
    if weights[name].shape != like.shape:
        raise LabError(f"{name} must have shape {tuple(like.shape)}, not {tuple(weights[name].shape)}")
    return weights[name].detach().clone()


def _halves(weight: Tensor, n_heads: int) -> Tensor:
    """Reorder the features of each attention head from pairs (2k, 2k + 1), as ours, to pairs (k, k + K / 2)."""
    return weight.view(n_heads, -1, 2, weight.shape[1]).transpose(1, 2).reshape(weight.shape)


def _pairs(weight: Tensor, n_heads: int) -> Tensor:
    """Reorder the features of each attention head from pairs (k, k + K / 2) to pairs (2k, 2k + 1), as ours."""
    return weight.view(n_heads, 2, -1, weight.shape[1]).transpose(1, 2).reshape(weight.shape)
