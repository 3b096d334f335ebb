"""Effective rank of the residual stream after every layer of a network.

B sequences, T positions, D width.
"""

from __future__ import annotations

import pandas as pd
import torch

from lab.interp.effective_rank import effective_rank
from lab.interp.residual import residual_sites
from lab.interp.sequences import before_scored, draw_sequences
from lab.model import Network, states
from tasks import Task


@torch.no_grad()
def rank(network: Network, task: Task, *, sequences: int = 512, split: str = "validation", seed: int = 0) -> pd.DataFrame:
    """Compute the effective rank of the residual stream after every layer, over the positions where a target is scored.

    Args:
        network: Any network.
        task: Its task.
        sequences: Number of sequences.
        split: Split from which they are drawn.
        seed: Of the sequences.

    Returns:
        `site` (name of the activation), `layer` (its depth, see `lab.interp.residual`), `value` (effective rank, between 0
        and D).
    """
    drawn = draw_sequences(network, task, sequences, split, seed)
    sites = residual_sites(network)
    found = states(network, drawn.inputs_BT, sites)
    before_scored_BT = before_scored(drawn.scored_BT)
    ranks = {name: effective_rank(found[name][before_scored_BT]) for name in sites}
    rows = [{"site": name, "layer": layer, "value": ranks[name]} for name, layer in sites.items()]
    return pd.DataFrame(rows, columns=["site", "layer", "value"])
