"""What a position carries: a network computes a row with one of its states taken from another row.

If the state of position p after some layers of the trunk decides what is predicted further on, then the prediction follows the
row that the state was taken from: an interchange intervention (Geiger et al. 2021, arXiv 2106.02997), also activation patching.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lab.errors import LabError
from lab.model import Network


@torch.no_grad()
def interchanged(network: Network, rows_BT: Tensor, others_BT: Tensor, position: int, layers: int, head: int = 1) -> Tensor:
    """Logits of rows in which one position's state is that of other rows.

    Args:
        network: Any network that is told no tokens ahead.
        rows_BT: (B, T) int64.
        others_BT: (B, T) int64, from which the state is taken, row by row.
        position: Of the state, from 0.
        layers: After how many layers of the trunk; 0: the token's embedding.
        head: Of which prediction head, from 1.

    Returns:
        (B, T, V) float.

    Raises:
        LabError: If the embedding of a teacherless network is asked for, which is not the embedding of its tokens alone.
    """
    if layers == 0 and network.mask is not None:
        raise LabError("layers must be at least 1 in a teacherless network, whose hidden tokens have no embedding, not 0")
    place = network.embedding if layers == 0 else network.trunk[layers - 1]
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, states_BTD: Tensor) -> None:
        kept.append(states_BTD[:, position].clone())

    def put(_module: nn.Module, _inputs: Any, states_BTD: Tensor) -> Tensor:
        changed_BTD = states_BTD.clone()
        changed_BTD[:, position] = kept[0]
        return changed_BTD

    for rows, hook in ((others_BT, keep), (rows_BT, put)):
        handle = place.register_forward_hook(hook)
        try:
            logits_BTV = network.logits(rows, head)
        finally:
            handle.remove()
    return logits_BTV
