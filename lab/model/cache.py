"""Keys and values of earlier positions, preallocated, so that sequences can be fed in pieces and cut back.

B sequences, S slots of each (its capacity), T new positions, H attention heads, K width of one, E slots that are attended to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lab.model.workspace import Workspace


class Cache:
    """Keys and values of B sequences, each with a length of its own.

    The token at position p of a sequence has slot p. A pass writes the slots after each sequence's length and moves the length
    on; `cut` moves it back. Slots beyond a length hold what was rejected: a mask of -inf gives them no weight, and later passes
    write over them. No gradient goes through a cache.

    Attributes:
        capacity: S, tokens that a sequence can have.
        lengths_B: (B,) int64, tokens of each sequence so far.
        longest: The largest of them.
        same_length: Whether all sequences have the same length.
        pairs: Keys (after RoPE) and values by the name of an attention, (2, B, H, S, K) each.
        weights: Weights of layers as they multiply with them in a workspace, by the layer's name.
        states: Hidden states that heads keep, by name, (B, S + 1, D) each: those of slot p in row p + 1, zeros in row 0.
    """

    def __init__(self, sequences: int, capacity: int, device: torch.device | str = "cpu") -> None:
        self.capacity, self.longest, self.same_length = capacity, 0, True
        self.lengths_B = torch.zeros(sequences, dtype=torch.int64, device=device)
        self.sequences_B1 = torch.arange(sequences, device=device)[:, None]
        self.pairs: dict[str, Tensor] = {}
        self.states: dict[str, Tensor] = {}
        self.weights: dict[str, Any] = {}
        self._workspaces: dict[int, Workspace] = {}
        self._causal: dict[tuple[int, torch.dtype], Tensor] = {}

    def next_slots(self, count: int, n_heads: int, dtype: torch.dtype, mask: Tensor | None = None) -> CacheSlots:
        """Return the slots of the next `count` tokens of each sequence, with the mask of a pass over them.

        Args:
            count: T.
            n_heads: H.
            dtype: Of the scores.
            mask: Broadcastable to (B, H, T, E), bool or added to the scores; None for causal attention.
        """
        begin, end, device = self.longest, self.longest + count, self.lengths_B.device
        if end > self.capacity:
            raise ValueError(f"the cache holds {self.capacity} tokens of a sequence, not {end}")
        if not self.same_length:
            return self.slots_at(self.lengths_B[:, None] + torch.arange(count, device=device), end, n_heads, dtype, mask)
        added = self._causal_window(count, dtype) if mask is None else self._added(mask, n_heads, dtype)
        return CacheSlots(self, n_heads, begin, torch.arange(begin, end, device=device), end, added)

    def slots_at(self, slots_BT: Tensor, end: int, n_heads: int, dtype: torch.dtype, mask: Tensor | None = None) -> CacheSlots:
        """Return given slots, (B, T) int64, all below `end`, with their mask; other arguments as of `next_slots`."""
        if mask is None:
            mask = torch.arange(end, device=slots_BT.device) <= slots_BT[:, None, :, None]
        return CacheSlots(self, n_heads, None, slots_BT, end, self._added(mask, n_heads, dtype), self._rows(slots_BT, n_heads))

    def move(self, from_BA: Tensor, to_BA: Tensor) -> None:
        """Move everything of some slots to others, (B, A) int64 each: of an accepted path through a tree of drafts."""
        moved: dict[int, tuple[Tensor, Tensor]] = {}
        for pairs_2BHSK in self.pairs.values():
            n_heads = pairs_2BHSK.shape[2]
            if n_heads not in moved:
                moved[n_heads] = self._rows(from_BA, n_heads), self._rows(to_BA, n_heads)
            from_rows, to_rows = moved[n_heads]
            rows = pairs_2BHSK.view(-1, pairs_2BHSK.shape[-1])
            rows.index_copy_(0, to_rows, rows[from_rows])
        for states_BSD in self.states.values():
            states_BSD[self.sequences_B1, to_BA + 1] = states_BSD[self.sequences_B1, from_BA + 1]

    def _rows(self, slots_BT: Tensor, n_heads: int) -> Tensor:
        """Return the rows of slots in a buffer (2 x B x H x S, K)."""
        first = torch.arange(2 * len(self.lengths_B) * n_heads, device=slots_BT.device).view(2, -1, n_heads, 1) * self.capacity
        return (first + slots_BT[:, None]).flatten()

    def workspace(self, count: int, n_heads: int, width: int, dtype: torch.dtype, epsilon: float) -> Workspace:
        """Return the buffers of a pass over `count` new tokens of each sequence."""
        if count not in self._workspaces:
            self._workspaces[count] = Workspace(len(self.lengths_B), count, n_heads, width, dtype, epsilon)
        return self._workspaces[count]

    def read_mask(self, n_heads: int, dtype: torch.dtype) -> Tensor:
        """Return the mask of slots beyond each sequence's length, (B x H, 1, E), added to the scores of one query each."""
        read_BE = torch.arange(self.longest, device=self.lengths_B.device) < self.lengths_B[:, None]
        return self._added(read_BE[:, None, None], n_heads, dtype)

    def advance(self, count: int) -> None:
        """Count `count` new tokens of each sequence."""
        self.lengths_B = self.lengths_B + count
        self.longest += count

    def cut(self, lengths_B: Tensor) -> None:
        """Cut each sequence back to a length, (B,) int64."""
        self.lengths_B = lengths_B
        lengths = lengths_B.tolist()
        self.longest = max(lengths)
        self.same_length = min(lengths) == self.longest

    def _causal_window(self, count: int, dtype: torch.dtype) -> Tensor | None:
        """Return the causal mask (T, E) of sequences of one length: a slice of one table for each T."""
        if count == 1:
            return None
        if (count, dtype) not in self._causal:
            full = torch.full((count, self.capacity + count), -torch.inf, dtype=dtype, device=self.lengths_B.device)
            self._causal[count, dtype] = full.triu(1 + self.capacity)
        return self._causal[count, dtype][:, self.capacity - self.longest : self.capacity + count]

    def _added(self, mask: Tensor, n_heads: int, dtype: torch.dtype) -> Tensor:
        """Convert a mask, bool or float, to one that is added to scores, (T, E) or (B x H, T, E)."""
        if mask.dtype == torch.bool:
            mask = torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, -torch.inf)
        mask = mask.to(dtype)
        return mask if mask.ndim == 2 else mask.expand(len(self.lengths_B), n_heads, -1, -1).flatten(0, 1)


@dataclass(frozen=True, eq=False)
class CacheSlots:
    """The slots of a cache that a forward pass writes, and the mask of those it reads; computed once for all layers.

    Attributes:
        cache: The cache.
        n_heads: H.
        begin: First slot, where the new positions of all sequences have the same slots; else None.
        indices_BT: (B, T) int64, the slot of each new position; (T,) where `begin` is set.
        end: E, slots up to the last one that any sequence has written.
        mask: Added to the scores, (T, E) or (B x H, T, E): -inf where a position does not attend. None where every position
            attends to all slots.
        rows: (2 x B x H x T,) int64, rows of a buffer (2 x B x H x S, K) that the pass writes; None where `begin` is set.
        workspace: Buffers of the pass; None where layers go without.
    """

    cache: Cache
    n_heads: int
    begin: int | None
    indices_BT: Tensor
    end: int
    mask: Tensor | None
    rows: Tensor | None = None
    workspace: Workspace | None = None

    def with_workspace(self, workspace: Workspace) -> CacheSlots:
        """Return these slots with buffers."""
        return CacheSlots(self.cache, self.n_heads, self.begin, self.indices_BT, self.end, self.mask, self.rows, workspace)

    def with_heads(self, n_heads: int) -> CacheSlots:
        """Return these slots for keys and values of another number of attention heads, without a mask."""
        rows = None if self.rows is None else self.cache._rows(self.indices_BT, n_heads)
        return CacheSlots(self.cache, n_heads, self.begin, self.indices_BT, self.end, None, rows)

    def extend(self, name: str, pairs_2BHTK: Tensor) -> tuple[Tensor, Tensor]:
        """Write keys (after RoPE) and values of new positions of an attention; return all, (B x H, E, K) each."""
        B, H, _, K = pairs_2BHTK.shape[1:]
        capacity, pairs = self.cache.capacity, self.cache.pairs
        if name not in pairs:
            pairs[name] = pairs_2BHTK.new_zeros(2, B, H, capacity, K)
        if self.rows is None:
            pairs[name][:, :, :, self.begin : self.end] = pairs_2BHTK
        else:
            pairs[name].view(-1, K).index_copy_(0, self.rows, pairs_2BHTK.reshape(-1, K))
        keys, values = pairs[name].view(2, B * H, capacity, K)[:, :, : self.end].unbind()
        return keys, values

    def keep(self, name: str, states_BTD: Tensor) -> None:
        """Keep states (B, T, D) of new positions, for `recall`."""
        states = self.cache.states
        if name not in states:
            states[name] = states_BTD.new_zeros(len(states_BTD), self.cache.capacity + 1, states_BTD.shape[-1])
        states[name][self.cache.sequences_B1, self.indices_BT + 1] = states_BTD

    def recall(self, name: str, back: int = 1) -> Tensor:
        """Return for each position the state (B, T, D) that is kept of the slot `back` before it, zeros before slot 0."""
        rows_BT = (self.indices_BT + 1 - back).clamp(min=0).expand(len(self.cache.lengths_B), -1)
        return self.cache.states[name][self.cache.sequences_B1, rows_BT]

    def hide_first(self, count: int, dtype: torch.dtype) -> CacheSlots:
        """Return these slots with a mask that hides the first `count` of a sequence from all after them."""
        hidden = (self.indices_BT[..., None] >= count) & (torch.arange(self.end, device=self.indices_BT.device) < count)
        added = self.cache._added(~(hidden if hidden.ndim == 2 else hidden[:, None]), self.n_heads, dtype)
        return replace(self, mask=added if self.mask is None else self.mask + added)
