"""The one argument that layers, attention and prediction heads take besides hidden states. B sequences, T positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lab.model.cache import Cache, CacheSlots

Edit = Callable[[Tensor], Tensor]
"""Takes an activation and returns what replaces it, of the same shape."""
_UNSET = torch.empty(0)


@dataclass(frozen=True)
class Sites:
    """Activations that a forward pass edits and records; see `lab.model.sites` for their names.

    Attributes:
        edits: A function for each activation that is edited.
        found: Where activations are recorded, after their edit.
        wanted: Names of the activations that are recorded; None for all.
    """

    edits: Mapping[str, Edit]
    found: dict[str, Tensor]
    wanted: frozenset[str] | None = frozenset()

    def uses(self, name: str) -> bool:
        """Return whether an activation is edited or recorded."""
        return name in self.edits or self.wanted is None or name in self.wanted

    def visit(self, name: str, activation: Tensor) -> Tensor:
        """Edit and record an activation; return the one with which the pass continues."""
        if name in self.edits:
            activation = self.edits[name](activation)
        if self.wanted is None or name in self.wanted:
            self.found[name] = activation
        return activation


@dataclass(frozen=True, eq=False)
class Context:
    """What a forward pass depends on besides weights and tokens.

    Attributes:
        positions: (T,) or (B, T) int64, the position of each token for RoPE; None for 0 to T - 1.
        mask: What each position attends to, broadcastable to (B, H, T, T): bool, True where it does, or float, added to the
            scores. None for causal attention; a mask replaces causality. Each position has to attend to one at least.
        cache: Keys and values of earlier positions, which the pass continues and extends; None for a whole sequence. Positions
            and mask default to those after each sequence; a mask is then broadcastable to (B, H, T, E), where E is the longest
            sequence with its new tokens. No gradient goes through a cache.
        computed: Number of trunk layers that are computed already, and their output (B, T, D); None to compute all. Sites of
            these layers are not visited.
        detached: Whether prediction heads 2..N send no gradient to the trunk, the embedding, prediction head 1 or the final
            norm. Every kind of heads honours it or raises. The loss detaches the unembedding.
        slots: The slots of the cache that the pass writes; None for those after each sequence.
        branch_BTD: Set by the network: the state (B, T, D) that prediction heads 2..N read; None for the trunk's output.
        rope: Set by the network: cosines and sines of the positions, (T, 1, 1, K / 2, 2) or (B, T, 1, 1, K / 2, 2).
        embedded_BTD: Set by the network: token embeddings, for kinds of heads that read tokens ahead.
        sites: Set by the network: what is edited and recorded; None in training.
    """

    positions: Tensor | None = None
    mask: Tensor | None = None
    cache: Cache | None = None
    computed: tuple[int, Tensor] | None = None
    detached: bool = False
    slots: CacheSlots | None = None
    branch_BTD: Tensor | None = None
    rope: Tensor = _UNSET
    embedded_BTD: Tensor = _UNSET
    sites: Sites | None = None

    def visit(self, name: str, activation: Tensor) -> Tensor:
        """Edit and record an activation where `sites` names it; return the one with which the pass continues."""
        return activation if self.sites is None else self.sites.visit(name, activation)

    def head_input(self, states: Tensor, head: int) -> Tensor:
        """Return the input of a prediction head, counted from 1: these states, or the branch for heads above 1 if there is one.

        It has no gradient if heads above 1 are detached.
        """
        if head > 1 and self.branch_BTD is not None:
            states = self.branch_BTD
        return states.detach() if self.detached and head > 1 else states
