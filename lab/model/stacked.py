"""Several prediction heads as one layer, for drafts: one operation computes all of them.

B sequences, T positions, N heads, H attention heads of one, K width of one attention head, D = H x K, I inner width of the MLP.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from lab.model.context import Context
from lab.model.kernels import apply_rope
from lab.model.layers import Layer, Swiglu


class StackedLayers:
    """N layers that read the same states, computed at the last position of each sequence that a cache holds.

    Weights are copied when the stack is made. Those of norms are part of the matrices after them, so that all layers share the
    normed input. Keys and values are cached as those of one attention of N x H heads.

    Attributes:
        name: Of the attention in the cache.
        qkv_DE: (D, 3 x N x D), for the queries of all layers, divided by the root of K, then their keys, then their values.
        out_NDD: (N, D, D).
        inner_NDE: (N, D, I), or (N, D, 2 I) of gate and up.
        down_NID: (N, I, D).
    """

    def __init__(self, layers: Sequence[Layer], name: str) -> None:
        first, norms_ND = layers[0], torch.stack([layer.attention_norm.weight for layer in layers])
        self.name, self.is_gated, D = name, isinstance(first.mlp, Swiglu), norms_ND.shape[1]
        self.heads = len(layers) * first.attention.n_heads
        self._root_epsilon = norms_ND.new_tensor(math.sqrt(D * first.mlp_norm.epsilon))
        qkv_3NDD = torch.stack([layer.attention.qkv.weight.view(3, D, D) for layer in layers], dim=1)
        qkv_3NDD = qkv_3NDD * (norms_ND[:, None] * math.sqrt(D))
        qkv_3NDD[0] *= (D // first.attention.n_heads) ** -0.5
        self.qkv_DE = qkv_3NDD.flatten(0, 2).t().contiguous()
        self.out_NDD = torch.stack([layer.attention.out.weight.t() for layer in layers])
        parts = ["gate", "up"] if self.is_gated else ["up"]
        inner = [torch.cat([layer.mlp.get_parameter(f"{part}.weight") for part in parts]).t() for layer in layers]
        norms_ND = torch.stack([layer.mlp_norm.weight for layer in layers])
        self.inner_NDE = torch.stack(inner) * (norms_ND[:, :, None] * math.sqrt(D))
        self.down_NID = torch.stack([layer.mlp.get_parameter("down.weight").t() for layer in layers])

    def __call__(self, trunk_BTD: Tensor, context: Context, last_B: Tensor) -> Tensor:
        """Cache keys and values of new positions, and compute the layers' outputs at one position of each sequence.

        Args:
            trunk_BTD: Output of the trunk at the new positions.
            context: Of these positions, with their slots in a cache that is cut after position `last_B`.
            last_B: (B,) int64, from 0 to T - 1.

        Returns:
            (N, B, D).
        """
        assert context.slots is not None
        (B, T, D), N, slots, cache = trunk_BTD.shape, len(self.out_NDD), context.slots, context.slots.cache
        qkv_BT3HK = (self._unit(trunk_BTD) @ self.qkv_DE).view(B, T, 3, self.heads, -1)
        queries_BTHK, keys_BTHK = apply_rope(qkv_BT3HK[:, :, :2], context.rope).unbind(2)
        pairs_2BHTK = torch.stack([keys_BTHK, qkv_BT3HK[:, :, 2]]).transpose(2, 3)
        keys, values = (each[:, : cache.longest] for each in slots.with_heads(self.heads).extend(self.name, pairs_2BHTK))
        rows_B = cache.sequences_B1[:, 0]
        queries = queries_BTHK[rows_B, last_B].view(B * self.heads, 1, -1)
        if cache.same_length:
            scores = torch.bmm(queries, keys.transpose(1, 2))
        else:
            scores = torch.baddbmm(cache.read_mask(self.heads, queries.dtype), queries, keys.transpose(1, 2))
        mixed_NBD = torch.bmm(scores.softmax(-1), values).view(B, N, D).transpose(0, 1)
        states_NBD = torch.baddbmm(trunk_BTD[rows_B, last_B].expand(N, B, D), mixed_NBD, self.out_NDD)
        inner_NBE = torch.bmm(self._unit(states_NBD), self.inner_NDE)
        if self.is_gated:
            gate_NBI, up_NBI = inner_NBE.chunk(2, dim=-1)
            inner_NBE = F.silu(gate_NBI).mul_(up_NBI)
        else:
            inner_NBE = F.gelu(inner_NBE)
        return torch.baddbmm(states_NBD, inner_NBE, self.down_NID)

    def _unit(self, states: Tensor) -> Tensor:
        """Return states (..., D) divided by their length, to which the norm's epsilon is added as `rms_norm` does."""
        lengths: Tensor = torch.linalg.vector_norm(states, dim=-1, keepdim=True)
        return states / lengths.hypot_(self._root_epsilon)
