"""Activation patching: run a network on one sequence with the state of one position taken from another sequence.

If the state of a position decides what is predicted later, the prediction follows the sequence that the state comes from: an
interchange intervention (Geiger et al. 2021, arXiv 2106.02997).
"""

from __future__ import annotations

import torch
from torch import Tensor

from lab.errors import LabError
from lab.model import Network, edited, states


@torch.no_grad()
def patch_position(network: Network, tokens_BT: Tensor, sources_BT: Tensor, name: str, position: int, head: int = 1) -> Tensor:
    """Compute logits of sequences in which the activation at one position comes from other sequences.

    Args:
        network: The network.
        tokens_BT: (B, T) int64.
        sources_BT: (B, T) int64, whose activations are taken, sequence by sequence.
        name: Of the activation, (B, T, ...); see `lab.model.sites`.
        position: From 0.
        head: Prediction head whose logits are computed, counted from 1.

    Returns:
        (B, T, V) logits.

    Raises:
        LabError: If there is no such activation or position, or the activation has no positions to patch: an attention
            pattern; or the embedding, if the prediction head reads the embeddings of later tokens besides.
    """
    if name.endswith(".pattern"):
        raise LabError(f"{name} cannot be patched at a position; edit it with lab.model.edited")
    if name == "embedding" and head > 1 and network.spec.kind.teacher_forced:
        raise LabError(
            f"embedding cannot be patched for prediction head {head}, which is teacher-forced: it reads later tokens"
        )
    if not 0 <= position < tokens_BT.shape[1]:
        raise LabError(f"position must be between 0 and {tokens_BT.shape[1] - 1}, not {position}")
    source = states(network, sources_BT, [name])[name]

    def patch(activation: Tensor) -> Tensor:
        patched = activation.clone()
        patched[:, position] = source[:, position]
        return patched

    with edited(network, {name: patch}):
        return network.logits(tokens_BT, head)
