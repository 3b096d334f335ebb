"""The residual stream of a network, layer by layer."""

from __future__ import annotations

from lab.model import Network, site_names


def residual_sites(network: Network) -> dict[str, int]:
    """Return the depth of every state of the residual stream by its name.

    Returns:
        0 for the embedding, then the trunk's layers from 1, then the prediction heads, each one deeper than the
        trunk layer that it reads.
    """
    names = [name for name in site_names(network) if name == "embedding" or name.endswith(".residual")]
    heads = {f"prediction.{head}.residual": network.layers_before(head) + 1 for head in range(1, network.n_future + 1)}
    return {name: heads.get(name, depth) for depth, name in enumerate(names)}
