"""Networks whose logits are written by hand."""

import torch

from lab.config import ModelSettings
from lab.model import Network, NetworkSpec

NEVER = -1e4
"""The logit of a token that is never chosen."""


def table_network(*tables: list[list[float]]) -> Network:
    """Build a network whose prediction head i has, after token a, the logit `tables[i - 1][a][b]` of token b.

    Whatever comes before a does not matter: layers add nothing to the residual stream, in which token a is one-hot.
    """
    tables_NVV = torch.tensor(tables)
    n, V, width = len(tables), tables_NVV.shape[1], tables_NVV.shape[1] + tables_NVV.shape[1] % 2
    settings = ModelSettings(width=width, layers=n + 1, n_heads=1, heads="replicated")
    network = Network(NetworkSpec(settings, V, n))
    with torch.no_grad():
        for layer in (*network.trunk, *network.heads.layers):
            layer.attention.out.weight.zero_()
            layer.mlp.down.weight.zero_()
        network.embedding.weight.copy_(torch.eye(V, width))
        for head in range(1, n + 1):
            network.unembedding.of_head(head)[:, :V] = tables_NVV[head - 1].T * width**-0.5
    return network.eval()
