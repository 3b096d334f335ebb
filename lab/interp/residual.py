"""The residual stream of a network, layer by layer."""

from __future__ import annotations

from lab.model import Network, site_names


def residual_sites(network: Network) -> dict[str, int]:
    """Return the depth of every state of the residual stream by its name.

    Returns:
        0 for the embedding, then the trunk's layers from 1, then the prediction heads, each at the depth of the layer that it
        replaces.
    """
    names = [name for name in site_names(network) if name == "embedding" or name.endswith(".residual")]
    return {name: min(place, len(network.trunk) + 1) for place, name in enumerate(names)}
