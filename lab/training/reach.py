"""Which weights the loss of some prediction heads reaches, found by asking autograd: the same for every kind of heads."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import Parameter

from lab.model import Network


def reached(network: Network, heads: Sequence[int]) -> set[Parameter]:
    """The weights that change when these prediction heads (counted from 1) are trained."""
    weights = list(network.parameters())
    device = weights[0].device
    tokens_BT = torch.arange(8, device=device)[None] % network.embedding.num_embeddings
    with torch.enable_grad():
        logits_NBTV = torch.stack([network.logits(tokens_BT, head) for head in heads])
        uneven = torch.arange(logits_NBTV.numel(), device=device).sin().view_as(logits_NBTV)  # a norm hides even sums
        gradients = torch.autograd.grad((logits_NBTV * uneven).sum(), weights, materialize_grads=True)
    return {weight for weight, change in zip(weights, gradients, strict=True) if change.any()}
