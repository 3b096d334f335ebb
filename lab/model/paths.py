"""The residual stream of a prediction head: which layers add to it."""

from __future__ import annotations

from lab.errors import LabError, check_head
from lab.model.heads import AnticausalHeads, BareHeads, CausalHeads, JointHeads, ParallelHeads, ResidualHeads, SequentialHeads
from lab.model.layers import Layer
from lab.model.network import Network


def path_layers(network: Network, head: int = 1) -> list[Layer]:
    """Return the layers whose sum with the embedding is the state of a prediction head before the final norm, in order.

    Args:
        network: The network.
        head: Prediction head, counted from 1.

    Raises:
        LabError: If there is no such head, or its state is no such sum, because matrices, blocks or projections change it.
    """
    check_head(head, network.n_future)
    heads, kind = network.heads, type(network.heads)  # a user's subclass may compute anything
    if kind is ParallelHeads:
        own = [heads.layers[head - 1]]
    elif kind is CausalHeads:
        own = heads.layers[:head]
    elif kind is AnticausalHeads:
        own = heads.layers[head - 1 :][::-1]
    elif kind is SequentialHeads and head == 1:
        own = [heads.first]
    elif kind is BareHeads or (kind in (ResidualHeads, JointHeads) and head == 1):
        own = []
    else:
        raise LabError(f"the state of prediction head {head} of kind {network.spec.model.heads} is no sum of layers")
    return [*network.trunk[: network.layers_before(head)], *own]
