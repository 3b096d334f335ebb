"""Path patching: change the direct effect of one component on another, and leave all else as it was.

Wang et al. 2023 (arXiv 2211.00593, appendix B); Goldowsky-Dill et al. 2023 (arXiv 2304.05969). The residual stream is a sum, so
that the direct path from a sender to a receiver is the sender's term in the receiver's input.

B sequences, T positions, D width, H attention heads, K width of one, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from lab.errors import LabError
from lab.interp.components import Component, substitute
from lab.model import Network, edited, states
from lab.model.attention import attend
from lab.model.layers import Layer
from lab.model.paths import path_layers

INPUTS = ("queries", "keys", "values")


@torch.no_grad()
def patch_path(
    network: Network,
    tokens_BT: Tensor,
    sources_BT: Tensor,
    sender: Component,
    receiver: Component,
    *,
    through: Collection[str] = INPUTS,
    head: int = 1,
) -> Tensor:
    """Compute logits of sequences in which a receiver reads a sender's output from other sequences.

    The components between them, MLPs included, keep their outputs; those after the receiver are computed anew.

    Args:
        network: The network.
        tokens_BT: int64.
        sources_BT: int64, from which the sender's output is taken, sequence by sequence.
        sender: An `attention head`, `attention` or `mlp`.
        receiver: An `attention head` of a later layer, or the `prediction head` itself: its state before the final norm.
        through: Which inputs of an attention head change: some of `INPUTS`.
        head: Prediction head whose logits are computed, counted from 1.

    Returns:
        (B, T, V) logits.

    Raises:
        LabError: If sender or receiver are of another kind, or the receiver does not read the sender on the path of the
            prediction head.
    """
    layers = {layer.name: layer for layer in path_layers(network, head)}
    _check(sender, receiver, through, list(layers), head, network.spec.model.n_heads)
    added_BTD = _output(network, sources_BT, sender, layers) - _output(network, tokens_BT, sender, layers)
    if receiver.kind == "prediction head":
        name = f"{receiver.site}.residual"
        with edited(network, {name: lambda state_BTD: state_BTD + added_BTD}):
            return network.logits(tokens_BT, head)
    (name,) = receiver.activations
    patched_BTHK = _attend(network, tokens_BT, layers[receiver.site], added_BTD, through)
    with edited(network, {name: substitute(patched_BTHK, receiver.attention_head)}):
        return network.logits(tokens_BT, head)


def _output(network: Network, tokens_BT: Tensor, sender: Component, layers: dict[str, Layer]) -> Tensor:
    """Compute the output of a component to the residual stream, (B, T, D)."""
    (name,) = sender.activations
    found = states(network, tokens_BT, [name])[name]
    if sender.kind != "attention head":
        return found
    only_BTHK = torch.zeros_like(found)
    only_BTHK[:, :, sender.attention_head] = found[:, :, sender.attention_head]
    added_BTD: Tensor = layers[sender.site].attention.out(only_BTHK.flatten(2))
    return added_BTD


def _attend(network: Network, tokens_BT: Tensor, layer: Layer, added_BTD: Tensor, through: Collection[str]) -> Tensor:
    """Compute the outputs (B, T, H, K) of a layer's attention heads if some of their inputs read `added_BTD` as well."""
    after, attention, mlp = (f"{layer.name}.{what}" for what in ("residual", "attention", "mlp"))
    found = states(network, tokens_BT, [after, attention, mlp])
    before_BTD = found[after] - found[attention] - found[mlp]
    plain, changed = (
        layer.attention.qkv(layer.attention_norm(each)).unflatten(-1, (3, layer.attention.n_heads, -1))
        for each in (before_BTD, before_BTD + added_BTD)
    )
    read_BT3HK = torch.stack([(changed if each in through else plain)[:, :, part] for part, each in enumerate(INPUTS)], dim=2)
    return attend(read_BT3HK, network.complete_context(tokens_BT).rope)


def _check(
    sender: Component, receiver: Component, through: Collection[str], layers: Sequence[str], head: int, n_heads: int
) -> None:
    """Reject paths that do not exist."""
    if sender.kind not in ("attention head", "attention", "mlp"):
        raise LabError(f"sender must be an attention head, attention or mlp, not {sender.kind}")
    if receiver.kind not in ("attention head", "prediction head"):
        raise LabError(f"receiver must be an attention head or prediction head, not {receiver.kind}")
    for name, component in (("sender", sender), ("receiver", receiver)):
        if component.kind == "attention head" and not 0 <= component.attention_head < n_heads:
            raise LabError(f"{name}.attention_head must be between 0 and {n_heads - 1}, not {component.attention_head}")
    if not through or not set(through) <= set(INPUTS):
        raise LabError(f"through must be some of {', '.join(INPUTS)}, not {', '.join(through) or 'nothing'}")
    if sender.site not in layers:
        raise LabError(f"sender.site must be one of {', '.join(layers)}, not {sender.site!r}")
    later = layers[layers.index(sender.site) + 1 :] if receiver.kind == "attention head" else [f"prediction.{head}"]
    if not later:
        raise LabError(f"no attention head reads {sender.site}, the last layer of prediction head {head}")
    if receiver.site not in later:
        raise LabError(f"receiver.site must be one of {', '.join(later)} after {sender.site}, not {receiver.site!r}")
