"""Tiny networks, and tokens for them."""

from typing import Any

import torch
from torch import Tensor

from lab.config.kinds import KINDS, LAYER
from lab.model import Network, build
from tests.helpers.tiny import tiny

V, T = 12, 10
DETACHABLE = [name for name, kind in KINDS.items() if not kind.on_path]
"""Kinds whose heads 2..N are not on the next-token path."""
LAYERED = [name for name, kind in KINDS.items() if kind.first == kind.further == LAYER and not kind.replicated]
"""Kinds whose heads are one layer each, below one unembedding."""
BRANCHING = [name for name, kind in KINDS.items() if kind.independent]
"""Kinds whose heads 2..N can read an earlier layer of the trunk."""
VARIANTS = [*((kind, None) for kind in KINDS), *((kind, 1) for kind in BRANCHING)]
"""Every kind, with `model.head_layer`."""
VARIANTS_OF_HEADS = [(kind, layer, head) for kind, layer in VARIANTS for head in (1, 2) if layer is None or head > 1]
"""Every variant with a prediction head; head 1 reads the whole trunk whatever `model.head_layer`."""


def tiny_network(heads: str = "parallel", n_future: int = 3, seed: int = 1, **changes: Any) -> Network:
    """Return a network in which all weights are random and none is zero, as after some training."""
    network = build(tiny(n_future=n_future, **{"model__heads": heads, "model__layers": 6, **changes}))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.05)
    return network.eval()


def random_tokens(sequences: int = 2, length: int = T, seed: int = 0) -> Tensor:
    """Draw tokens (B, T) of the tiny vocabulary."""
    return torch.randint(V, (sequences, length), generator=torch.Generator().manual_seed(seed))


def trunk_output(network: Network, tokens_BT: Tensor) -> Tensor:
    """Run the trunk layer by layer."""
    context = network.complete_context(tokens_BT)
    states_BTD = network.embedding(tokens_BT)
    for layer in network.trunk:
        states_BTD = layer(states_BTD, context)
    return states_BTD
