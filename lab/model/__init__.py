"""The network: trunk, prediction heads, shared unembedding. Plain torch."""

from lab.model.heads import HEADS
from lab.model.network import Network, build

__all__ = ["HEADS", "Network", "build"]
