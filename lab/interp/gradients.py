"""Gradient audit: what each prediction head's loss asks of the trunk, how far the heads agree, and which roles ask it.

Names of metrics, for prediction head i (counted from 1), each head's own loss at weight 1 and as if no head were detached:
`gradient/trunk/<i>` norm at the trunk's output, `gradient/trunk.<l>/<i>` in the weights of its layer l (from 0),
`gradient/prediction.<k>/<i>` in those of the prediction heads' layer k (from 1), where the loss of head i reaches it;
`gradient/cosine/trunk/<i>/<j>`, and so on, between heads i < j;
`gradient/share/<role>/<i>` how much of head i's gradient at the trunk's output comes from targets of a role, and
`gradient/share/<role>/all` of the whole objective's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from lab.model import Network
from lab.model.layers import Layer
from lab.objectives import IGNORE, Loss, Targets, multi_head_loss


@torch.enable_grad()
def gradient_metrics(
    network: Network,
    shown_BT: Tensor,
    targets: Targets,
    counts_N: Tensor,
    weights_N: Sequence[float],
    roles: tuple[Tensor, Sequence[str]] | None = None,
) -> dict[str, float]:
    """Norms, cosines and shares of the gradients of each prediction head's loss; the network is left as it is.

    A role's share is the projection of its part of the gradient on the whole, in units of the whole's squared norm: shares sum
    to 1, and one that pulls against the others is negative.

    Args:
        network: The network.
        shown_BT: (B, T) int64, what it is shown.
        targets: What the heads have to predict.
        counts_N: (N,) targets of each head.
        weights_N: What each head counts in the objective at the trunk's output, for the shares of the whole.
        roles: (N, B, T) int64, the role of each target, and the roles' names; None where a target has no single role.

    Returns:
        Metrics by name; those of no gradient are left out.
    """
    layers = {f"trunk.{number}": list(layer.parameters()) for number, layer in enumerate(network.trunk)}
    own_layers = (module for module in network.heads.modules() if isinstance(module, Layer))
    layers |= {f"prediction.{number}": list(layer.parameters()) for number, layer in enumerate(own_layers, start=1)}
    weights = [weight for layer in layers.values() for weight in layer]
    with _trunk_output(network) as outputs:
        hidden_NBTD = network(shown_BT)
    (trunk_BTD,) = outputs
    matrices, heads = network.unembedding.matrices, range(network.n_future)

    def loss(head: int, tokens: Tensor) -> Loss:
        one = slice(head, head + 1)
        own = matrices if isinstance(matrices, Tensor) else matrices[one]
        scores = None if targets.scores_NBTK is None else targets.scores_NBTK[one]
        return multi_head_loss(hidden_NBTD[one], own, Targets(tokens[one], scores), counts_N[one])

    at_output, in_layers = [], []
    for head in heads:
        own, *rest = _gradients(loss(head, targets.tokens), [trunk_BTD, *weights])
        at_output.append(own.flatten())
        parts = iter(rest)
        in_layers.append([torch.cat([next(parts).flatten() for _ in layer]) for layer in layers.values()])
    values = _norms_and_cosines("trunk", at_output)
    for place, gradients in zip(layers, zip(*in_layers, strict=True), strict=True):
        values |= _norms_and_cosines(place, gradients)
    if roles is not None:
        roles_NBT, names = roles
        for number, name in enumerate(names):
            chosen = targets.tokens.masked_fill(roles_NBT != number, IGNORE)
            if number and bool((chosen != IGNORE).any()):
                of_role = [_gradients(loss(head, chosen), [trunk_BTD])[0].flatten() for head in heads]
                values |= _shares(name, of_role, at_output, weights_N)
    return values


def _gradients(loss: Loss, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss.total, inputs, retain_graph=True, materialize_grads=True)


def _norms_and_cosines(place: str, gradients: Sequence[Tensor]) -> dict[str, float]:
    norms = [float(gradient.norm()) for gradient in gradients]
    values = {f"gradient/{place}/{head}": norm for head, norm in enumerate(norms, start=1) if norm}
    for i, j in combinations(range(len(gradients)), 2):
        if norms[i] and norms[j]:
            values[f"gradient/cosine/{place}/{i + 1}/{j + 1}"] = float(gradients[i] @ gradients[j]) / (norms[i] * norms[j])
    return values


def _shares(name: str, of_role: list[Tensor], wholes: list[Tensor], weights_N: Sequence[float]) -> dict[str, float]:
    pairs = {str(head): pair for head, pair in enumerate(zip(of_role, wholes, strict=True), start=1)}
    weighed = [[weight * gradient for weight, gradient in zip(weights_N, each, strict=True)] for each in (of_role, wholes)]
    pairs["all"] = torch.stack(weighed[0]).sum(0), torch.stack(weighed[1]).sum(0)
    return {
        f"gradient/share/{name}/{who}": float(part @ whole) / square
        for who, (part, whole) in pairs.items()
        if (square := float(whole @ whole))  # 0 of a gradient that is next to nothing, too
    }


@contextmanager
def _trunk_output(network: Network) -> Iterator[list[Tensor]]:
    """Collects what the prediction heads are given while a network is run inside."""
    found: list[Tensor] = []

    def note(_: Any, arguments: tuple[Any, ...]) -> None:
        found.append(arguments[0])

    handle = network.heads.register_forward_pre_hook(note)
    try:
        yield found
    finally:
        handle.remove()
