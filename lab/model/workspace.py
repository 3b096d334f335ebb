"""Buffers for passes over a few tokens on a CPU, where the overhead of operations matters more than their arithmetic.

B sequences, T new positions, R = B x T, H attention heads, K width of one, D = H x K, I inner width of the MLP.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


class Workspace:
    """Buffers of one layer's pass, which all layers reuse, with views of them made once.

    Attributes:
        qkv_RE: (R, 3 D), queries, keys and values.
        qk_complex: Queries and keys as complex numbers, (B, T, 2, H, K / 2): a view.
        pairs_2BHTK: Keys and values, (2, B, H, T, K): a view.
        queries_BHTK: Queries, (B, H, T, K): a view.
    """

    def __init__(self, sequences: int, count: int, n_heads: int, width: int, dtype: torch.dtype, epsilon: float) -> None:
        rows, self._width = sequences * count, width
        self._lengths_R1, self._normed_RD = torch.empty(rows, 1, dtype=dtype), torch.empty(rows, width, dtype=dtype)
        self._root_epsilon = torch.tensor(math.sqrt(width * epsilon), dtype=dtype)
        self.qkv_RE = torch.empty(rows, 3 * width, dtype=dtype)
        qkv_BT3HK = self.qkv_RE.view(sequences, count, 3, n_heads, -1)
        self.qk_complex = torch.view_as_complex(self.qkv_RE.view(sequences, count, 3, n_heads, -1, 2)[:, :, :2])
        self.pairs_2BHTK = qkv_BT3HK[:, :, 1:].permute(2, 0, 3, 1, 4)
        self.queries_BHTK = qkv_BT3HK[:, :, 0].transpose(1, 2)
        self._inner: tuple[Tensor, Tensor] | None = None

    def norm(self, states_RD: Tensor, weight_D: Tensor) -> Tensor:
        """Compute the root-mean-square norm with a weight that `scaled` made; the next call overwrites the result."""
        torch.linalg.vector_norm(states_RD, 2, -1, True, out=self._lengths_R1)
        torch.hypot(self._lengths_R1, self._root_epsilon, out=self._lengths_R1)  # sqrt(sum of squares + D x epsilon)
        torch.div(states_RD, self._lengths_R1, out=self._normed_RD)
        return self._normed_RD.mul_(weight_D)

    def scaled(self, weight_D: Tensor) -> Tensor:
        """Return the weight of a norm, times the root of D: `norm` divides by lengths, not by root mean squares."""
        return weight_D.detach() * math.sqrt(self._width)

    def gate(self, states_RD: Tensor, gate_DI: Tensor, up_DI: Tensor) -> Tensor:
        """Compute silu(gate x) * (up x); the next call overwrites the result."""
        if self._inner is None or self._inner[0].shape[1] != gate_DI.shape[1]:
            size = (len(states_RD), gate_DI.shape[1])
            self._inner = states_RD.new_empty(size), states_RD.new_empty(size)
        gate_RI, up_RI = self._inner
        torch.mm(states_RD, gate_DI, out=gate_RI)
        torch.mm(states_RD, up_DI, out=up_RI)
        return F.silu(gate_RI, inplace=True).mul_(up_RI)
