"""The parts of induction circuits: previous-token heads, induction heads, and whether one reads the other (K-composition).

B sequences, T positions, H attention heads, K width of one, D width.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from lab.interp.attention_scores import attention_scores, probe_period, repeated_probe
from lab.interp.sequences import check_fit
from lab.model import Network
from lab.model.layers import Layer
from tasks import Task

PREFIX_MATCHING, PREVIOUS_TOKEN, K_COMPOSITION = "prefix_matching", "previous_token", "k_composition"


class HeadWeights(NamedTuple):
    """The matrices of the attention heads of a layer, float64. The weights of the layer's norm are multiplied into them.

    Attributes:
        queries_HKD: Queries of normed states.
        keys_HKD: Keys.
        values_HKD: Values.
        out_HDK: Output matrices, from each attention head to the residual stream.
    """

    queries_HKD: Tensor
    keys_HKD: Tensor
    values_HKD: Tensor
    out_HDK: Tensor


def head_weights(layer: Layer) -> HeadWeights:
    """Return the matrices of each attention head of a layer."""
    attention = layer.attention
    heads, width = attention.n_heads, attention.qkv.in_features
    rows_DD = attention.qkv.weight.detach().double() * layer.attention_norm.weight.detach().double()
    queries_HKD, keys_HKD, values_HKD = rows_DD.view(3, heads, -1, width).unbind()
    out_HDK = attention.out.weight.detach().double().view(width, heads, -1).transpose(0, 1)
    return HeadWeights(queries_HKD, keys_HKD, values_HKD, out_HDK)


def k_composition(sender: HeadWeights, receiver: HeadWeights, rope: Tensor) -> Tensor:
    """Compute the K-composition of every attention head of an earlier layer with every one of a later layer.

    It measures how much of a sender's output the receiver's keys read (Elhage et al. 2021, "A mathematical framework for
    transformer circuits", section on composition): the Frobenius norm of the product of the receiver's query-key matrix and the
    sender's output-value matrix, as a share of the product of both norms, less that of random matrices:

        |W_QK W_OV| / (|W_QK| |W_OV|) - D^(-1/2)    W_QK = W_Q^T W_K, W_OV = W_O W_V

    With rotary positions the query-key matrix depends on the offset d from the key to the query: W_QK(d) = W_Q^T R(-d) W_K, in
    which R(d) rotates by d positions. All offsets given are taken together, as one matrix of all W_QK(d) below one another: its
    squared norm is the sum of theirs. D^(-1/2) is the root mean square of the share if a random rotation stands between the
    two matrices, whatever their spectra: E |A O B|^2 = |A|^2 |B|^2 / D.

    Args:
        sender: The earlier layer.
        receiver: The later layer.
        rope: (offsets, 1, 1, K / 2, 2), cosine and sine of each offset.

    Returns:
        (H of the sender, H of the receiver) float64, between -D^(-1/2) and 1 - D^(-1/2); the least for a matrix of zeros.
    """
    queries_HKK = receiver.queries_HKD @ receiver.queries_HKD.mT
    back_RKK = _rotations(rope).mT
    read_HKK = (back_RKK.mT @ queries_HKK[:, None] @ back_RKK).mean(1)  # of W_QK: the mean of R^T (W_Q W_Q^T) R over offsets
    values_HKK = sender.values_HKD @ sender.values_HKD.mT
    through_SHKK = receiver.keys_HKD @ sender.out_HDK[:, None]
    carried_SHKK = through_SHKK @ values_HKK[:, None] @ through_SHKK.mT
    product_SH = _trace(read_HKK, carried_SHKK)
    of_receiver_H = _trace(read_HKK, receiver.keys_HKD @ receiver.keys_HKD.mT)
    of_sender_S = _trace(values_HKK, sender.out_HDK.mT @ sender.out_HDK)
    width: int = sender.out_HDK.shape[1]
    share_SH = (product_SH / (of_sender_S[:, None] * of_receiver_H)).nan_to_num().clamp(min=0).sqrt()
    return share_SH.sub(width**-0.5)


@torch.no_grad()
def circuits(network: Network, task: Task, *, sequences: int = 16, seed: int = 0) -> pd.DataFrame:
    """Score every attention head as a part of an induction circuit, and the K-composition of every two on a path.

    Scores are of random tokens that repeat, whatever the task: see `lab.interp.attention_scores`. Offsets of the K-composition
    are all those of the probe.

    Args:
        network: Any network.
        task: Its task, which gives the vocabulary and the distance at which the probe repeats.
        sequences: Number of sequences of the probe.
        seed: Of the probe.

    Returns:
        `quantity` (`prefix_matching`, `previous_token`: mean attention to the position before, both in [0, 1];
        `k_composition`), `site` (the layer, as `trunk.1` or `prediction.2`), `attention_head` (from 0), `sender` (of
        K-compositions, as `trunk.0/2`: trunk layer 0, attention head 2; else empty), `value`.

    Raises:
        LabError: If the task has more tokens than the network, or `sequences` is below 1.
    """
    check_fit(network, task, sequences)
    device = network.embedding.weight.device
    probe_BT = repeated_probe(task.vocab_size, sequences, probe_period(task), seed).to(device)
    rows: list[tuple[str, str, int, str, float]] = []
    for score in attention_scores(network, probe_BT):
        site = f"{score.part}.{score.layer}"
        rows.append((PREFIX_MATCHING, site, score.attention_head, "", score.prefix_matching))
        rows.append((PREVIOUS_TOKEN, site, score.attention_head, "", score.previous_token))
    layers = {module.name: head_weights(module) for module in network.modules() if isinstance(module, Layer)}
    rope = network.rope(None, probe_BT.shape[1], device, torch.float64)
    for receiver, weights in layers.items():
        for sender in senders(receiver, layers):
            found_SH = k_composition(layers[sender], weights, rope)
            for (number, head), value in zip(_indices(found_SH), found_SH.flatten().tolist(), strict=True):
                rows.append((K_COMPOSITION, receiver, head, f"{sender}/{number}", value))
    return pd.DataFrame(rows, columns=["quantity", "site", "attention_head", "sender", "value"])


def senders(receiver: str, layers: dict[str, HeadWeights]) -> list[str]:
    """List the trunk layers before a layer: of a prediction head all, of a trunk layer those below it."""
    trunk = [name for name in layers if name.startswith("trunk.")]
    return trunk[: trunk.index(receiver)] if receiver in trunk else trunk


def _rotations(rope: Tensor) -> Tensor:
    """Return the rotation by each offset as a matrix: (offsets, K, K)."""
    cosine, sine = rope.double().flatten(1, 3).unbind(-1)
    blocks = torch.stack([torch.stack([cosine, -sine], -1), torch.stack([sine, cosine], -1)], -2)
    rotations_RJ2J2 = (
        torch.eye(blocks.shape[1], dtype=blocks.dtype, device=blocks.device)[:, None, :, None] * blocks[:, :, :, None]
    )
    return rotations_RJ2J2.flatten(3).flatten(1, 2)


def _trace(one: Tensor, other: Tensor) -> Tensor:
    """Compute the trace of the product of symmetric matrices (..., K, K)."""
    return (one * other).sum((-2, -1))


def _indices(matrix: Tensor) -> list[tuple[int, int]]:
    return [(row, column) for row in range(matrix.shape[0]) for column in range(matrix.shape[1])]
