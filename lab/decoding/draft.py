"""Drafts by prediction heads 2..n at the last token that the network has read.

B sequences, J rows of a pass of which one of each sequence is its last token, M nodes of a tree, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lab.decoding.sampling import Sampling, draw, uniform
from lab.decoding.tree import Tree
from lab.model import Context, Network
from lab.model.cache import Cache
from lab.model.stacked import StackedLayers


@dataclass(frozen=True, eq=False)
class Draft:
    """Drafted tokens of each sequence.

    Attributes:
        tokens_BM: (B, M) int64, of the nodes of a tree.
        probabilities: Of each depth's token, (B, V) float64 each, where they were drawn; empty for greedy drafts.
    """

    tokens_BM: Tensor
    probabilities: tuple[Tensor, ...] = ()


@dataclass(frozen=True, eq=False)
class Pass:
    """The states of a forward pass from which the next draft is made.

    Attributes:
        cache: Cut to the tokens that the network has read.
        inputs_BJD: States that prediction heads above 1 read, at consecutive positions of each sequence.
        context: Of these positions.
        hidden: Normed states (B, J, D) of prediction heads 1, 2, ..., those that were computed.
        last_B: (B,) int64, the row of each sequence's last token.
    """

    cache: Cache
    inputs_BJD: Tensor
    context: Context
    hidden: tuple[Tensor, ...]
    last_B: Tensor


class Drafter:
    """Makes drafts for a tree.

    Heads that are layers on the trunk's output are computed as one layer, at the last token alone, as are heads without
    attention. Heads that read other heads' states are computed with head 1. Teacher-forced heads are fed the draft as it grows.
    """

    def __init__(
        self, network: Network, tree: Tree, sampling: Sampling | None, generator: torch.Generator, tokens_BS: Tensor
    ) -> None:
        kind = network.spec.kind
        self.network, self.tree, self.sampling, self.generator = network, tree, sampling, generator
        self.tokens_BS = tokens_BS
        self.is_sampled = sampling is not None and sampling.drafts == "sampled" and tree.is_chain
        self.teacher_forced = kind.teacher_forced
        alone = kind.stackable or (kind.independent and not kind.attends(2))
        self.with_head_1 = not alone and not kind.teacher_forced
        self.heads = range(2, tree.heads + 1)
        self.stack = StackedLayers(network.heads.layers[1 : tree.heads], "prediction") if kind.stackable else None
        self.widths = [1 + max(path[-1] for path in tree.paths if len(path) == depth) for depth in range(1, tree.heads)]
        self.depths_M, self.ranks_M = (tree.depths[1:] - 1).to(tokens_BS.device), tree.ranks[1:].to(tokens_BS.device)

    def verify(self, trunk_BRD: Tensor, context: Context) -> tuple[Tensor, ...]:
        """Compute normed states (B, R, D) of head 1, and of the heads that draft if they are computed with it."""
        heads = range(1, self.tree.heads + 1) if self.with_head_1 else [1]
        return self.network.forward_heads(trunk_BRD, context, heads).unbind()

    def draft(self, done: Pass) -> Draft:
        """Draft tokens after each sequence's root, which is in `tokens_BS` after all tokens that the network has read."""
        if not self.is_sampled and not self.teacher_forced:
            return Draft(self._best(self._logits(done)))
        chosen, probabilities = [], []
        for depth, logits_BV in enumerate(self._teacher_forced_logits(done) if self.teacher_forced else self._logits(done)):
            if self.sampling is not None and self.is_sampled:
                probabilities.append(self.sampling.probabilities(logits_BV))
                tokens_BW = draw(probabilities[-1], uniform(self.generator, len(logits_BV)))[:, None]
            else:
                tokens_BW = logits_BV.topk(self.widths[depth]).indices
            if self.teacher_forced:
                self.tokens_BS.scatter_(1, done.cache.lengths_B[:, None] + depth + 1, tokens_BW[:, :1])
            chosen.append(tokens_BW)
        pairs = zip(self.depths_M.tolist(), self.ranks_M.tolist(), strict=True)
        return Draft(torch.stack([chosen[depth][:, rank] for depth, rank in pairs], dim=1), tuple(probabilities))

    def _best(self, logits_NBV: Tensor) -> Tensor:
        """Return the nodes' tokens (B, M) by their ranks among each head's logits."""
        if self.tree.is_chain:
            return logits_NBV.argmax(-1).t()
        ranked_NBW = logits_NBV.topk(max(self.widths)).indices
        return ranked_NBW[self.depths_M, :, self.ranks_M].t()

    def _logits(self, done: Pass) -> Tensor:
        """Compute logits (N, B, V) of the heads above 1 that draft at the last tokens."""
        network, rows_B = self.network, done.cache.sequences_B1[:, 0]
        if self.with_head_1:
            states_NBD = torch.stack([done.hidden[head - 1][rows_B, done.last_B] for head in self.heads])
        elif self.stack is not None:
            states_NBD = network.norm(self.stack(done.inputs_BJD, done.context, done.last_B))
        else:
            states_NBD = network.forward_heads(done.inputs_BJD[rows_B, done.last_B][:, None], done.context, self.heads)[:, :, 0]
        if not network.spec.kind.replicated:
            return network.unembed(states_NBD, 2)
        return torch.stack([network.unembed(each, head) for head, each in zip(self.heads, states_NBD, strict=True)])

    def _teacher_forced_logits(self, done: Pass) -> Iterator[Tensor]:
        """Compute logits (B, V) of each teacher-forced head, which reads the draft up to then.

        At its last position a head reads the newest drafted token. It read the positions since the last pass with drafted
        tokens, or not at all: it reads them again with the accepted tokens, which overwrites the states it kept of them.
        """
        cache, network = done.cache, self.network
        for head in self.heads:
            back = torch.arange(done.inputs_BJD.shape[1] + head - 2, -1, -1, device=cache.lengths_B.device)
            slots_BT = (cache.lengths_B[:, None] + head - 2 - back).clamp(min=0)
            dtype = done.inputs_BJD.dtype
            slots = cache.slots_at(slots_BT, cache.longest + head - 1, network.spec.model.n_heads, dtype)
            context = network.complete_context(self.tokens_BS.gather(1, slots_BT), Context(cache=cache, slots=slots))
            state_B1D = network.norm(network.heads.compute_head(head, context, slots)[:, -1:])
            yield network.unembed(state_B1D, head)[:, 0]
