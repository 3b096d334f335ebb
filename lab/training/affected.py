"""Find the parameters that the loss of some prediction heads affects; autograd finds them for every kind of heads."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor

from lab.model import Network


def affected_parameters(network: Network, heads: Sequence[int]) -> set[str]:
    """Return the names of the parameters that change when these prediction heads train.

    Args:
        network: A network, which stays as it is.
        heads: Prediction heads, counted from 1.
    """
    twin = deepcopy(network)
    weights = list(twin.parameters())
    device = weights[0].device
    with torch.no_grad():
        for weight in weights:
            weight.add_(_irregular(weight), alpha=0.1)  # a weight of zero would hide the parameters before it
    length = max(8, network.n_future)  # a teacher-forced head reads the token n_future - 1 positions ahead
    tokens_BT = torch.arange(length, device=device)[None] % twin.embedding.num_embeddings
    if twin.mask is not None:
        tokens_BT[:, 1] = twin.embedding.num_embeddings  # a hidden token
    with torch.enable_grad():
        logits_NBTV = torch.stack([twin.logits(tokens_BT, head) for head in heads])
        gradients = torch.autograd.grad((logits_NBTV * _irregular(logits_NBTV)).sum(), weights, materialize_grads=True)
    return {name for (name, _), change in zip(network.named_parameters(), gradients, strict=True) if change.any()}


def _irregular(like: Tensor) -> Tensor:
    """Return irregular numbers of a tensor's shape, without a random generator."""
    return torch.arange(like.numel(), device=like.device).sin().view_as(like)
