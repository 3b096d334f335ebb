"""The paper's model sizes (Gloeckle et al. 2024, Tab S14)."""

from __future__ import annotations

from typing import NamedTuple


class Shape(NamedTuple):
    """Width d, layers L (of trunk and prediction heads together at equal parameters) and attention heads of a model."""

    width: int
    layers: int
    n_heads: int


SIZES: dict[str, Shape] = {
    "1M": Shape(128, 5, 4),
    "3M": Shape(256, 4, 8),
    "10M": Shape(384, 6, 8),
    "30M": Shape(512, 10, 8),
    "100M": Shape(768, 14, 12),
    "300M": Shape(1024, 25, 16),
    "1B": Shape(1536, 36, 24),
}
