"""Effective rank of the states of a network: how many directions the residual stream uses.

B sequences, T positions, D width.
"""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from lab.interp.residual import residual_sites
from lab.interp.sequences import draw_sequences
from lab.model import Network, states
from tasks import Task


def effective_rank(states_RD: Tensor) -> float:
    """Compute the effective rank of R states: exp of the entropy of the normalised singular values of the centred matrix.

    1 if all states lie on a line, D if all directions are used alike. It is Roy and Vetterli's (2007, "The effective rank",
    EUSIPCO, definition 1); identical states have rank 0.

    Args:
        states_RD: (R, D) floating point, R >= 1.
    """
    centred_RD = (states_RD - states_RD.mean(0)).double()
    singular = torch.linalg.svdvals(centred_RD)
    if float(singular.sum()) == 0:
        return 0.0
    shares = singular / singular.sum()
    return float(torch.special.entr(shares).sum().exp())


@torch.no_grad()
def rank(network: Network, task: Task, *, sequences: int = 512, split: str = "validation", seed: int = 0) -> pd.DataFrame:
    """Effective rank of the residual stream after every layer, over the positions where a target is scored.

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
    asked_BT = drawn.scored_BT.roll(-1, 1)
    asked_BT[:, -1] = False
    rows = [{"site": name, "layer": layer, "value": effective_rank(found[name][asked_BT])} for name, layer in sites.items()]
    return pd.DataFrame(rows, columns=["site", "layer", "value"])
