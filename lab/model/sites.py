"""Read and edit activations by name.

B sequences, T positions, D width, H attention heads, K width of one, V vocabulary. Layers of the trunk and attention heads are
counted from 0, prediction heads from 1. In each name below `trunk.0` stands for any layer, also for one of a prediction head
(`prediction.2`):

| name | activation | shape |
| --- | --- | --- |
| `embedding` | token embeddings, those of hidden tokens included | (B, T, D) |
| `trunk.0.attention.values` | values of each attention head | (B, T, H, K) |
| `trunk.0.attention.pattern` | attention weights, from query (third) to key (last) | (B, H, T, T) |
| `trunk.0.attention.heads` | output of each attention head before the output matrix | (B, T, H, K) |
| `trunk.0.attention` | what attention adds to the residual stream | (B, T, D) |
| `trunk.0.mlp` | what the MLP adds to the residual stream | (B, T, D) |
| `trunk.0.residual` | the residual stream after the layer | (B, T, D) |
| `prediction.2.residual` | the state of prediction head 2, of any kind | (B, T, D) |
| `final.1` | the state of prediction head 1 after the final norm | (B, T, D) |
| `logits.1` | logits of prediction head 1, in `Network.logits` and `Network.next_logits` | (B, T, V) |

A pass in which nothing is read or edited takes the fast path of training. Reading leaves every number as it is. An edited
pattern or edited values are multiplied explicitly, which is equal to rounding.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from lab.errors import LabError
from lab.model.context import Context, Edit, Sites
from lab.model.network import Network
from tasks.errors import nearest

_OF_HEAD = re.compile(r"(prediction|final|logits)\.(\d+)")


@torch.no_grad()
def site_names(network: Network, head: int | None = None) -> list[str]:
    """List the names of a network's activations in the order in which they are computed.

    Args:
        network: The network.
        head: Prediction head, counted from 1, for whose logits they are computed; None for all.
    """
    found: dict[str, Tensor] = {}
    token = torch.zeros(1, 1, dtype=torch.int64, device=network.embedding.weight.device)
    with _sites(network, Sites({}, found, wanted=None)):
        hidden_NBTD = network(token, None if head is None else [head])
        for number, hidden_BTD in enumerate(hidden_NBTD, start=head or 1):
            network.unembed(hidden_BTD, number)
    return list(found)


def states(network: Network, tokens_BT: Tensor, names: Iterable[str], context: Context | None = None) -> dict[str, Tensor]:
    """Run a network and return activations by name, after the edits of `edited`; gradients flow if they are enabled.

    Args:
        network: The network.
        tokens_BT: (B, T) int64.
        names: Of the activations; see `site_names`.
        context: As of `Network.forward`.

    Raises:
        LabError: If the network has no activation of a name, or the context has a cache.
    """
    names = list(names)
    _check_names(network, names)
    heads = sorted({int(match[2]) if (match := _OF_HEAD.match(name)) else 1 for name in names}) or [1]
    before, found = network.sites or Sites({}, {}), dict[str, Tensor]()
    with _sites(network, Sites(before.edits, found, frozenset(names))):
        for head, hidden_BTD in zip(heads, network(tokens_BT, heads, context), strict=True):
            if f"logits.{head}" in names:
                network.unembed(hidden_BTD, head)
    return {name: found[name] for name in names}


@contextmanager
def recorded(network: Network, names: Iterable[str]) -> Iterator[dict[str, Tensor]]:
    """Record activations by name in every forward pass inside, the last one's; without names passes take their fast path.

    Raises:
        LabError: If the network has no activation of a name.
    """
    names, found = list(names), dict[str, Tensor]()
    if names:
        _check_names(network, names)
        before = network.sites or Sites({}, {})
        with _sites(network, Sites(before.edits, found, frozenset(names))):
            yield found
    else:
        yield found


@contextmanager
def edited(network: Network, edits: Mapping[str, Edit]) -> Iterator[None]:
    """Edit activations in every forward pass inside. Nested edits of one activation apply from the outermost to the innermost.

    Args:
        network: The network.
        edits: For each name a function that takes the activation and returns what replaces it.

    Raises:
        LabError: If the network has no activation of a name.
    """
    _check_names(network, edits)
    before = network.sites or Sites({}, {})
    inner = {name: _compose(before.edits[name], edit) if name in before.edits else edit for name, edit in edits.items()}
    with _sites(network, Sites({**before.edits, **inner}, before.found, before.wanted)):
        yield


def _compose(first: Edit, second: Edit) -> Edit:
    return lambda activation: second(first(activation))


@contextmanager
def _sites(network: Network, sites: Sites) -> Iterator[None]:
    before = network.sites
    network.sites = sites
    try:
        yield
    finally:
        network.sites = before


def _check_names(network: Network, names: Iterable[str]) -> None:
    known = site_names(network)
    for name in names:
        if name not in known:
            raise LabError(f"the network has no activation {name!r}; {nearest(name, known)}")
