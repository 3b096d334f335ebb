"""The network: trunk, prediction heads, unembedding. Plain torch."""

from lab.model.heads import HEADS, Context
from lab.model.network import Network, build

__all__ = ["HEADS", "Context", "Network", "build"]
