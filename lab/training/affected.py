"""Which weights the loss of some prediction heads reaches, found by asking autograd: the same for every kind of heads."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor

from lab.model import Network


def reached(network: Network, heads: Sequence[int]) -> set[str]:
    """The names of the weights that change when these prediction heads (counted from 1) are trained."""
    twin = deepcopy(network)
    weights = list(twin.parameters())
    device = weights[0].device
    with torch.no_grad():
        for weight in weights:
            weight.add_(_uneven(weight), alpha=0.1)  # what begins at zero would hide what stands before it
    tokens_BT = torch.arange(8, device=device)[None] % twin.embedding.num_embeddings
    if twin.mask is not None:
        tokens_BT[:, 1] = twin.embedding.num_embeddings  # a hidden token
    with torch.enable_grad():
        logits_NBTV = torch.stack([twin.logits(tokens_BT, head) for head in heads])
        gradients = torch.autograd.grad((logits_NBTV * _uneven(logits_NBTV)).sum(), weights, materialize_grads=True)
    return {name for (name, _), change in zip(network.named_parameters(), gradients, strict=True) if change.any()}


def _uneven(like: Tensor) -> Tensor:
    """Numbers without pattern and without any random generator, of a tensor's shape."""
    return torch.arange(like.numel(), device=like.device).sin().view_as(like)
