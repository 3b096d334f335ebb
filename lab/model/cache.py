"""Keys and values of earlier positions, so that a sequence can be fed in pieces."""

from __future__ import annotations

import torch
from torch import Tensor


class Cache:
    """Grows with each forward pass whose context has it; all sequences of the batch have the same length.

    The passes that share a cache must compute the same prediction heads. B sequences, S positions so far, H attention heads, K
    width of one.

    Attributes:
        length: Positions so far.
    """

    def __init__(self) -> None:
        self.length = 0
        self._keys: dict[str, Tensor] = {}
        self._values: dict[str, Tensor] = {}

    def extend(self, name: str, keys_BHTK: Tensor, values_BHTK: Tensor) -> tuple[Tensor, Tensor]:
        """Append keys (after RoPE) and values of new positions to those of an attention; return all, (B, H, S + T, K) each."""
        if name in self._keys:
            keys_BHTK = torch.cat([self._keys[name], keys_BHTK], dim=2)
            values_BHTK = torch.cat([self._values[name], values_BHTK], dim=2)
        self._keys[name], self._values[name] = keys_BHTK, values_BHTK
        return keys_BHTK, values_BHTK

    def positions(self, count: int, device: torch.device) -> Tensor:
        """Return the positions of the next tokens, (count,) int64."""
        return torch.arange(self.length, self.length + count, device=device)

    def causal_mask(self, count: int, device: torch.device) -> Tensor:
        """Return the causal mask of the next positions, (count, length + count) bool: True for themselves and all before."""
        keys = torch.arange(self.length + count, device=device)
        return keys <= self.positions(count, device)[:, None]
