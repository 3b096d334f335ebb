"""The network: trunk, prediction heads, unembedding, and access to every activation. Plain torch."""

from lab.model.context import Context
from lab.model.network import Network, build
from lab.model.sites import edited, recorded, site_names, states
from lab.model.spec import NetworkSpec

__all__ = ["Context", "Network", "NetworkSpec", "build", "edited", "recorded", "site_names", "states"]
