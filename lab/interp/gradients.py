"""Gradient diagnostics: each prediction head's gradient in the trunk, their cosine similarities, and each role's share.

Names of metrics, for prediction head i (from 1), each head's loss at weight 1 and as if no head were detached:
`gradient/trunk/<i>`: norm at the trunk's output; `gradient/trunk.<l>/<i>`: norm in the weights of trunk layer l (from 0);
`gradient/prediction.<k>/<i>`: norm in the layer of prediction head k (from 1), if it affects head i;
`gradient/cosine/trunk/<i>/<j>`, and so on: cosine similarity of heads i < j;
`gradient/share/<role>/<i>`: share of a role's targets in head i's gradient at the trunk's output;
`gradient/share/<role>/all`: share in that of the whole objective.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import torch
from torch import Tensor

from lab.metrics import Metric
from lab.model import Network, states
from lab.model.layers import Layer
from lab.objectives import IGNORE, Loss, Targets, multi_head_loss


@torch.enable_grad()
def gradient_metrics(
    network: Network,
    inputs_BT: Tensor,
    targets: Targets,
    counts_N: Tensor,
    weights: Sequence[float],
    roles: tuple[Tensor, Sequence[str]] | None = None,
) -> dict[str, float]:
    """Compute norms, cosines and shares of the gradients of each prediction head's loss; leaves the network as it is.

    A role's share is the projection of its part of the gradient on the whole, in units of the whole's squared norm: shares sum
    to 1, and the share of a role that opposes the others is negative.

    Args:
        network: The network.
        inputs_BT: (B, T) int64, its input.
        targets: Of its heads.
        counts_N: (N,) targets of each head.
        weights: N weights of the heads in the objective at the trunk's output, for the shares of the whole.
        roles: (N, B, T) int64, the role of each target, and the roles' names; None if a target has no single role.

    Returns:
        Metrics by name, without those of a zero gradient.
    """
    layers = {module.name: list(module.parameters()) for module in network.modules() if isinstance(module, Layer)}
    trunk_BTD, losses = _head_losses(network, inputs_BT, targets, counts_N)
    heads, sizes = range(network.n_future), [sum(weight.numel() for weight in layer) for layer in layers.values()]
    at_output, by_layer = [], []
    for head in heads:
        own, *rest = _gradients(losses(head, targets.tokens), [trunk_BTD, *(w for layer in layers.values() for w in layer)])
        at_output.append(own.flatten())
        by_layer.append(torch.split(torch.cat([gradient.flatten() for gradient in rest]), sizes))
    values = _norms_and_cosines("trunk", at_output)
    for name, gradients in zip(layers, zip(*by_layer, strict=True), strict=True):
        values |= _norms_and_cosines(name, gradients)
    if roles is not None:
        roles_NBT, names = roles
        for number, name in enumerate(names):
            selected = targets.tokens.masked_fill(roles_NBT != number, IGNORE)
            if number and bool((selected != IGNORE).any()):
                of_role = [_gradients(losses(head, selected), [trunk_BTD])[0].flatten() for head in heads]
                values |= _shares(name, of_role, at_output, weights)
    return values


def _head_losses(
    network: Network, inputs_BT: Tensor, targets: Targets, counts_N: Tensor
) -> tuple[Tensor, Callable[[int, Tensor], Loss]]:
    """Run the network; return the trunk's output and a function for the loss of a head, from 0, on some targets."""
    output = f"trunk.{len(network.trunk) - 1}.residual"
    finals = [f"final.{head}" for head in range(1, network.n_future + 1)]
    found = states(network, inputs_BT, [output, *finals])
    matrices = network.unembedding.matrices

    def loss(head: int, tokens: Tensor) -> Loss:
        one = slice(head, head + 1)
        own = matrices if isinstance(matrices, Tensor) else matrices[one]
        scores = None if targets.scores_NBTK is None else targets.scores_NBTK[one]
        return multi_head_loss(found[finals[head]][None], own, Targets(tokens[one], scores), counts_N[one])

    return found[output], loss


def _gradients(loss: Loss, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss.total, inputs, retain_graph=True, materialize_grads=True)


def _norms_and_cosines(name: str, gradients: Sequence[Tensor]) -> dict[str, float]:
    norms = [float(gradient.norm()) for gradient in gradients]
    values = {str(Metric("gradient", site=name, head=head)): norm for head, norm in enumerate(norms, start=1) if norm}
    for i, j in combinations(range(len(gradients)), 2):
        if norms[i] and norms[j]:
            metric = Metric("gradient/cosine", site=name, head=i + 1, other_head=j + 1)
            values[str(metric)] = float(gradients[i] @ gradients[j]) / (norms[i] * norms[j])
    return values


def _shares(role: str, of_role: list[Tensor], wholes: list[Tensor], weights: Sequence[float]) -> dict[str, float]:
    heads = range(1, len(wholes) + 1)
    values = {}
    for head, part, whole in zip(
        [*heads, None], [*of_role, _weighted(of_role, weights)], [*wholes, _weighted(wholes, weights)], strict=True
    ):
        square = float(whole @ whole)
        if square:
            values[str(Metric("gradient/share", role=role, head=head))] = float(part @ whole) / square
    return values


def _weighted(gradients: list[Tensor], weights: Sequence[float]) -> Tensor:
    return torch.stack([weight * gradient for weight, gradient in zip(weights, gradients, strict=True)]).sum(0)
