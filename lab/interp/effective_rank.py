"""Effective rank of states: how many directions they use. Without pandas, since training measures it.

B sequences, T positions, D width, R states.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lab.interp.sequences import before_scored
from lab.metrics import Metric
from lab.model import Network, states

_CHUNK = 128
"""Sequences in a forward pass."""


@torch.no_grad()
def effective_rank(states_RD: Tensor) -> float:
    """Compute the effective rank of R states: exp of the entropy of the normalised singular values of the centred matrix.

    1 if all states lie on a line, D if all directions are used alike, 0 for identical states. It is Roy and Vetterli's (2007,
    "The effective rank", EUSIPCO, definition 1), who do not subtract the mean; here a mean state is no direction.

    Args:
        states_RD: (R, D) floating point, R >= 1.
    """
    states_RD = states_RD.double()
    centred_RD = states_RD - states_RD.mean(0)
    singular = torch.linalg.svdvals(centred_RD)
    if float(singular.sum()) == 0:
        return 0.0
    shares = singular / singular.sum()
    return float(torch.special.entr(shares).sum().exp())


@torch.no_grad()
def rank_metrics(network: Network, inputs_BT: Tensor, scored_BT: Tensor) -> dict[str, float]:
    """Compute the effective rank of the trunk's output, and of each prediction head's state after the final norm.

    The states are those of the positions before a scored token, the same for all prediction heads.

    Args:
        network: Any network.
        inputs_BT: (B, T) int64, its input.
        scored_BT: (B, T) bool, whether a token counts as a target.

    Returns:
        `effective_rank/trunk` and, for prediction head i from 1, `effective_rank/prediction.<i>`.
    """
    sites = {f"trunk.{len(network.trunk) - 1}.residual": "trunk"}
    sites |= {f"final.{head}": f"prediction.{head}" for head in range(1, network.n_future + 1)}
    chunks = [states(network, part_BT, sites) for part_BT in torch.split(inputs_BT, _CHUNK)]
    before_scored_BT = before_scored(scored_BT)
    found = {name: torch.cat([chunk[name] for chunk in chunks])[before_scored_BT] for name in sites}
    return {str(Metric("effective_rank", site=site)): effective_rank(found[name]) for name, site in sites.items()}
