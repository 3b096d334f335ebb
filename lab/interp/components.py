"""Parts of a network that instruments ablate and patch.

B sequences, T positions, D width, H attention heads, K width of one.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from lab.model import Network, site_names
from lab.model.context import Edit


@dataclass(frozen=True)
class Component:
    """A part of a network, named by its output to the residual stream or by its state.

    Attributes:
        kind: `attention head`, `attention` (all attention heads of a layer), `mlp`, `layer` (both), `prediction head` (its
            state), or `residual` (the residual stream after a layer).
        site: Its layer, such as `trunk.0` or `prediction.2`; `embedding` for the residual stream before the first.
        attention_head: Counted from 0; -1 for other kinds.
    """

    kind: str
    site: str
    attention_head: int = -1

    @property
    def activations(self) -> tuple[str, ...]:
        """Their names; see `lab.model.sites`."""
        attention, mlp = f"{self.site}.attention", f"{self.site}.mlp"
        return {
            "attention head": (f"{attention}.heads",),
            "attention": (attention,),
            "mlp": (mlp,),
            "layer": (attention, mlp),
            "prediction head": (f"{self.site}.residual",),
            "residual": ("embedding" if self.site == "embedding" else f"{self.site}.residual",),
        }[self.kind]


def components(network: Network, head: int = 1) -> list[Component]:
    """List the components on which the logits of a prediction head depend."""
    found = []
    for name in site_names(network, head):
        site, _, what = name.rpartition(".")
        if what == "attention":
            heads = [Component("attention head", site, number) for number in range(network.spec.model.n_heads)]
            found += [*heads, Component("attention", site), Component("mlp", site), Component("layer", site)]
        elif what == "residual" and site.startswith("prediction."):
            found.append(Component("prediction head", site))
    return found


def stream_components(network: Network, head: int = 1) -> list[Component]:
    """List the states of the residual stream on which the logits of a prediction head depend, from the embedding on."""
    sites = [name.removesuffix(".residual") for name in site_names(network, head) if name.endswith((".residual", "embedding"))]
    return [Component("residual", site) for site in sites]


def substitute(replacement: Tensor, attention_head: int = -1, where_BT: Tensor | None = None) -> Edit:
    """Return an edit that replaces an activation.

    Args:
        replacement: (B, T, D), or (B, T, H, K) for an attention head.
        attention_head: The one whose output is replaced; -1 for all.
        where_BT: bool, the positions at which it is replaced; None for all.
    """

    def edit(activation: Tensor) -> Tensor:
        changed = replacement
        if attention_head >= 0:
            changed = activation.clone()
            changed[:, :, attention_head] = replacement[:, :, attention_head]
        if where_BT is None:
            return changed
        return changed.where(where_BT.view(*where_BT.shape, *(1,) * (activation.ndim - 2)), activation)

    return edit
