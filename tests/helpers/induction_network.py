"""A network whose induction circuit is known weight by weight.

The residual stream has three blocks of V directions: the token (C), the token before it (P), and the prediction (O).
- trunk layer 0, attention head `PREVIOUS`: attends one position back and copies C of that position to P of its own.
- trunk layer 1, attention head `INDUCTION`: its query is C, its key P - C / 2, so that it attends to positions after earlier
  occurrences of the present token, and copies C of that position to O of its own.
- prediction layer 2, attention head 0, if there is one: the same with O as query, three times as strong, so that the token
  after the next one has a larger logit than the next one.
All other attention heads have random queries, keys and values, and MLPs random inner weights; they write nothing.

RoPE's frequencies are 1, 0.1, 0.01, ... radians a token. Attention by position uses the first four. Attention by content uses
the others, which hardly rotate within a sequence.
"""

import torch
from torch import Tensor

from lab.config import ModelSettings
from lab.model import Network, NetworkSpec
from lab.model.layers import Attention

PREVIOUS, INDUCTION = 1, 2
"""The attention heads of the circuit, in trunk layers 0 and 1."""
N_HEADS, _POSITION, _CERTAIN = 4, 8, 30.0


def induction_network(vocabulary: int = 12, n_future: int = 1, seed: int = 0) -> Network:
    """Build the network: trunk layers 0 and 1, a prediction layer 1, which adds nothing, and at n = 2 prediction layer 2.

    On repeated segments of distinct tokens its loss on the second copy is below 1e-3. Without the induction head all logits are
    0, so that the loss is ln V.

    Args:
        vocabulary: V, even.
        n_future: 1 or 2.
        seed: Seed of the weights that have no effect.
    """
    V = vocabulary
    K = V + _POSITION
    model = ModelSettings(width=N_HEADS * K, layers=3, n_heads=N_HEADS, matched="none", rope_base=10.0 ** (K / 2))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(NetworkSpec(model, V, n_future)).double().eval()
    here, before, out = (torch.eye(model.width, dtype=torch.float64)[block * V : (block + 1) * V] for block in range(3))
    layers = [*network.trunk, *network.heads.layers]
    with torch.no_grad():
        for layer in layers:
            layer.attention.out.weight.zero_()
            layer.mlp.down.weight.zero_()
        network.embedding.weight.copy_(here)
        network.unembedding.weight.copy_(out * 12 * (3 / model.width) ** 0.5)
        _attend_back(layers[0].attention, PREVIOUS, here.sum(0))
        _copy(layers[0].attention, PREVIOUS, here, before, norm=1.0)
        _match(layers[1].attention, INDUCTION, here, before - here / 2)
        _copy(layers[1].attention, INDUCTION, here, out, norm=2.0)
        if n_future > 1:
            _match(layers[3].attention, 0, out, before - here / 2)
            _copy(layers[3].attention, 0, here, 3 * out, norm=3.0)
    return network.float()


def _qkv_of(attention: Attention, head: int) -> Tensor:
    """Return a view of the queries, keys and values of an attention head: (3, K, D)."""
    return attention.qkv.weight.view(3, attention.n_heads, -1, attention.qkv.in_features)[:, head]


def _attend_back(attention: Attention, head: int, constant_D: Tensor) -> None:
    """Attend one position back: query and key are constant, and the key is rotated as if one position later."""
    queries, keys, _ = _qkv_of(attention, head).zero_()
    angle = 10.0 ** -torch.arange(_POSITION // 2, dtype=torch.float64)
    phases = torch.stack([angle.cos(), angle.sin()], dim=1).flatten()
    strength = _CERTAIN / 0.2 * queries.shape[0] ** 0.5 / queries.shape[1]  # other positions have 0.2 less for 600 tokens
    queries[:_POSITION:2] = strength * constant_D
    keys[:_POSITION] = phases[:, None] * constant_D


def _match(attention: Attention, head: int, query: Tensor, key: Tensor) -> None:
    """Attend to positions whose token in `key` (V, D) is the token in `query` (V, D) of this position."""
    queries, keys, _ = _qkv_of(attention, head).zero_()
    # The squared norm of the stream is at most 3, and a match differs from other positions by at least 1/2.
    strength = 6 * _CERTAIN * queries.shape[0] ** 0.5 / queries.shape[1]
    queries[_POSITION:], keys[_POSITION:] = strength * query, key


def _copy(attention: Attention, head: int, source: Tensor, target: Tensor, norm: float) -> None:
    """Copy the token in `source` where the head attends to `target` (both V, D); `norm` is the squared norm of the stream."""
    V, D = source.shape
    K = attention.qkv.in_features // attention.n_heads
    _qkv_of(attention, head)[2, :V] = source * (norm / D) ** 0.5
    attention.out.weight[:, head * K : head * K + V] = target.T
