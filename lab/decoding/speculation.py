"""Self-speculative decoding: prediction heads 2..n draft, head 1 verifies, and the output is that of head 1.

Blockwise (Stern et al. 2018, arXiv 1811.03115) and by trees (Medusa, Cai et al. 2024, arXiv 2401.10774); sampled drafts are
accepted as in Leviathan et al. 2023 (arXiv 2211.17192). One forward pass verifies a draft and makes the next.

B sequences, S slots of the cache, V vocabulary, R rows of a pass (the root of the tree and its nodes), J rows of a path through
the tree with the root, P tokens of the longest prompt.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from lab.decoding.completion import SEQUENCES_AT_ONCE
from lab.decoding.draft import Draft, Drafter, Pass
from lab.decoding.prompts import Padded, Prompts, pad
from lab.decoding.result import Completion, Drafts, join, no_drafts
from lab.decoding.sampling import Sampling, draw, generator_of, pick, uniform
from lab.decoding.tree import Tree
from lab.errors import LabError, check_count
from lab.model import Context, Network
from lab.model.cache import Cache


def speculate(
    network: Network,
    prompts: Prompts,
    new_tokens: int,
    tree: Tree,
    stop: int | None = None,
    sampling: Sampling | None = None,
) -> Completion:
    """Complete sequences as head 1 alone does, in fewer forward passes.

    Greedy output equals that of `complete`, and so does sampled output if drafts are greedy (`Sampling.drafts`, and each tree
    with branches), up to rounding: products of different shapes may round differently, which matters where two tokens are
    equally probable. With sampled drafts the output has the same distribution.

    Args:
        network: In evaluation mode, with at least `tree.heads` prediction heads.
        prompts: As of `complete`.
        new_tokens: As of `complete`.
        tree: Shape of the drafts; `Tree.chain(k)` for blockwise drafts of heads 2..k.
        stop: As of `complete`.
        sampling: As of `complete`.

    Raises:
        LabError: As `complete`, or if the network has too few heads.
    """
    padded = pad(prompts, network.spec.vocabulary, network.embedding.weight.device)
    new_tokens = check_count("new_tokens", new_tokens)
    if tree.heads > network.n_future:
        raise LabError(f"heads must be at most n_future = {network.n_future}, not {tree.heads}")
    if max(map(max, tree.paths)) >= network.spec.vocabulary:
        raise LabError(
            f"tree must have ranks below the vocabulary of {network.spec.vocabulary}, not {max(map(max, tree.paths))}"
        )
    generator = generator_of(sampling)
    with torch.inference_mode():
        groups = [
            _Speculation(network, part, tree, sampling, generator, new_tokens) for part in padded.split(SEQUENCES_AT_ONCE)
        ]
        done = [group.run(stop) for group in groups]
    return join(done)


class _Verdict(NamedTuple):
    """Head 1's verification of a draft.

    Attributes:
        accepted_B: (B,) int64, tokens accepted.
        row_B: (B,) int64, row of the last of them; 0, the root's, if none is.
        next_B: (B,) int64, the token that head 1 adds.
    """

    accepted_B: Tensor
    row_B: Tensor
    next_B: Tensor


class _Speculation:
    """Speculative decoding of one group of sequences, which share their forward passes.

    The network has read `cache.lengths_B` tokens of each sequence. One more is known, the root of the next draft.
    """

    def __init__(
        self, network: Network, prompts: Padded, tree: Tree, sampling: Sampling | None, generator: torch.Generator, count: int
    ) -> None:
        (B, P), device = prompts.tokens_BP.shape, prompts.tokens_BP.device
        capacity = P + count + tree.rows
        self.network, self.prompts, self.tree, self.sampling, self.generator = network, prompts, tree, sampling, generator
        self.cache = Cache(B, capacity, device)
        self.tokens_BS = F.pad(prompts.tokens_BP, (0, capacity - P))
        self.ends_B = prompts.lengths_B + count
        self.uniform_BS = uniform(generator, B, count).to(device)
        self.drafter = Drafter(network, tree, sampling, generator, self.tokens_BS)
        self.forwards_B = torch.zeros_like(self.ends_B)
        self.events: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        self.steps_J = torch.arange(tree.depth + 1, device=device)
        self.depths_R, self.parents_R = tree.depths.to(device), tree.parents.to(device)
        self.paths_RJ, self.mask_RR = tree.path_rows.to(device), tree.mask.to(device)

    def run(self, stop: int | None) -> Completion:
        """Read the prompts, then draft and verify until each sequence is complete."""
        done = self.read_prompts()
        self.end_at(stop, self.prompts.lengths_B)
        while bool((active_B := self.cache.lengths_B + 1 < self.ends_B).any()):
            done = self.advance(self.drafter.draft(done), active_B, stop)
        return self.result()

    def read_prompts(self) -> Pass:
        """Feed the prompts and keep head 1's next token."""
        trunk_BPD, context = self.network.forward_trunk(self.prompts.tokens_BP, Context(cache=self.cache))
        hidden, last_B = self.drafter.verify(trunk_BPD, context), self.prompts.lengths_B - 1
        logits_B1V = self.network.unembed(hidden[0][self.cache.sequences_B1, last_B[:, None]], 1)
        next_B = pick(logits_B1V[:, 0], self.sampling, self.uniform_BS[:, 0])
        self.tokens_BS.scatter_(1, self.prompts.lengths_B[:, None], next_B[:, None])
        self.cache.cut(self.prompts.lengths_B)
        self.forwards_B += 1
        return self.keep(trunk_BPD, context, hidden, last_B)

    def advance(self, draft: Draft, active_B: Tensor, stop: int | None) -> Pass:
        """Verify a draft in one forward pass and keep what head 1 accepts, and its next token."""
        before_B = self.cache.lengths_B
        fed_BR = torch.cat([self.tokens_BS.gather(1, before_B[:, None]), draft.tokens_BM], dim=1)
        trunk_BRD, context = self.network.forward_trunk(fed_BR, self.tree_context())
        hidden = self.drafter.verify(trunk_BRD, context)
        logits_BRV = self.network.unembed(hidden[0], 1)
        verdict = self.accept_drawn(fed_BR, logits_BRV, draft) if draft.probabilities else self.accept(fed_BR, logits_BRV)
        done = self.keep(trunk_BRD, context, hidden, verdict.accepted_B)
        done = done if self.tree.is_chain else self.keep_path(done, verdict, fed_BR)
        path_BJ = fed_BR if self.tree.is_chain else fed_BR.gather(1, self.paths_RJ[verdict.row_B])
        self.tokens_BS.scatter_(1, before_B[:, None] + self.steps_J, path_BJ)
        after_B = before_B + verdict.accepted_B + 1
        self.tokens_BS.scatter_(1, after_B[:, None], verdict.next_B[:, None])
        self.end_at(stop, after_B)
        self.cache.cut(after_B.minimum(self.ends_B - 1))
        self.forwards_B += active_B
        self.events.append((before_B, verdict.accepted_B, self.ends_B, active_B))
        return done

    def keep(self, trunk_BRD: Tensor, context: Context, hidden: tuple[Tensor, ...], last_B: Tensor) -> Pass:
        """Return the states of a forward pass from which the next draft is made."""
        return Pass(self.cache, context.head_input(trunk_BRD, 2), replace(context, branch_BTD=None), hidden, last_B)

    def tree_context(self) -> Context:
        """Return the context of a pass over the rows of the tree: each attends to the tokens read and to its own path."""
        cache, rows = self.cache, self.tree.rows
        if self.tree.is_chain:
            return Context(cache=cache)
        relative_BE = torch.arange(cache.longest + rows, device=cache.lengths_B.device) - cache.lengths_B[:, None]
        in_tree_BE = (relative_BE >= 0) & (relative_BE < rows)
        seen_BRE = self.mask_RR[:, relative_BE.clamp(0, rows - 1)].transpose(0, 1) & in_tree_BE[:, None]
        mask_BRE = seen_BRE | (relative_BE < 0)[:, None]
        return Context(cache.lengths_B[:, None] + self.depths_R, mask_BRE[:, None], cache)

    def accept(self, fed_BR: Tensor, logits_BRV: Tensor) -> _Verdict:
        """Accept the longest path whose tokens are head 1's own choices, so that its output stays the same."""
        choice_BR = self.choose(logits_BRV)
        if self.tree.is_chain:
            row_B = (fed_BR[:, 1:] == choice_BR[:, :-1]).long().cumprod(1).sum(1)
            return _Verdict(row_B, row_B, choice_BR.gather(1, row_B[:, None])[:, 0])
        agrees_BR = fed_BR == choice_BR[:, self.parents_R]
        agrees_BR[:, 0] = True
        accepted_BR = (agrees_BR[:, None, :] | ~self.mask_RR).all(-1)  # with all rows before them on their paths
        row_B = (accepted_BR * self.depths_R).argmax(-1)
        return _Verdict(self.depths_R[row_B], row_B, choice_BR.gather(1, row_B[:, None])[:, 0])

    def choose(self, logits_BRV: Tensor) -> Tensor:
        """Return head 1's choice after each row, (B, R) int64, by the draws of the tokens at these positions."""
        if self.sampling is None:
            return logits_BRV.argmax(-1)
        new_BR = self.cache.lengths_B[:, None] + 1 + self.depths_R - self.prompts.lengths_B[:, None]
        draws_BR = self.uniform_BS.gather(1, new_BR.clamp(max=self.uniform_BS.shape[1] - 1))
        return pick(logits_BRV, self.sampling, draws_BR)

    def accept_drawn(self, fed_BR: Tensor, logits_BRV: Tensor, draft: Draft) -> _Verdict:
        """Accept each drawn token with probability min(1, p / q) (Leviathan et al. 2023, algorithm 1).

        p is head 1's probability, q the drafting head's. The token after the accepted ones is drawn from max(0, p - q).
        """
        assert self.sampling is not None
        p_BRV, q_BMV = self.sampling.probabilities(logits_BRV), torch.stack(draft.probabilities, dim=1)
        drafted_BM1 = fed_BR[:, 1:, None]
        p_BM, q_BM = (each.gather(-1, drafted_BM1)[..., 0] for each in (p_BRV[:, :-1], q_BMV))
        draws_BM = uniform(self.generator, *p_BM.shape).to(p_BM.device)
        accepted_B = (draws_BM * q_BM < p_BM).long().cumprod(1).sum(1)
        rest_BRV = torch.cat([(p_BRV[:, :-1] - q_BMV).clamp(min=0), p_BRV[:, -1:]], dim=1)
        rest_BV = rest_BRV[self.cache.sequences_B1[:, 0], accepted_B]
        next_B = draw(rest_BV, uniform(self.generator, len(rest_BV)))
        return _Verdict(accepted_B, accepted_B, next_B)

    def keep_path(self, done: Pass, verdict: _Verdict, fed_BR: Tensor) -> Pass:
        """Move keys, values and states of the accepted path to the slots after the tokens read; drop the rest of the tree."""
        rows_BJ, first_B1 = self.paths_RJ[verdict.row_B], self.cache.lengths_B[:, None]
        slots_BJ = first_B1 + self.steps_J
        self.cache.move(first_B1 + rows_BJ, slots_BJ)
        rows_B1, model = self.cache.sequences_B1, self.network.spec.model
        slots = self.cache.slots_at(slots_BJ, self.cache.longest + rows_BJ.shape[1], model.n_heads, done.inputs_BJD.dtype)
        inputs_BJD, hidden = done.inputs_BJD[rows_B1, rows_BJ], tuple(states[rows_B1, rows_BJ] for states in done.hidden)
        context = self.network.complete_context(fed_BR.gather(1, rows_BJ), Context(cache=self.cache, slots=slots))
        return Pass(self.cache, inputs_BJD, context, hidden, verdict.accepted_B)

    def end_at(self, stop: int | None, last_B: Tensor) -> None:
        """End each sequence after its first stop token among the new ones up to `last_B`."""
        if stop is None:
            return
        position_S = torch.arange(self.tokens_BS.shape[1], device=last_B.device)
        new_BS = (position_S >= self.prompts.lengths_B[:, None]) & (position_S <= last_B[:, None])
        stops_BS = (self.tokens_BS == stop) & new_BS
        first_B = torch.where(stops_BS.any(1), stops_BS.int().argmax(1) + 1, self.ends_B)
        self.ends_B = self.ends_B.minimum(first_B)

    def result(self) -> Completion:
        """Return the completed sequences with their counts of forward passes and drafts."""
        lengths = self.ends_B.tolist()
        inside_BS = torch.arange(self.tokens_BS.shape[1], device=self.ends_B.device) < self.ends_B[:, None]
        tokens_BT = self.tokens_BS.where(inside_BS, 0)[:, : max(lengths)]
        prompts = tuple(self.prompts.lengths_B.tolist())
        return Completion(tokens_BT, prompts, tuple(lengths), tuple(self.forwards_B.tolist()), self.drafts())

    def drafts(self) -> Drafts:
        """Return the drafts of all passes."""
        if not self.events:
            return no_drafts()
        before_EB, accepted_EB, ends_EB, active_EB = (torch.stack(column) for column in zip(*self.events, strict=True))
        usable_EB = (ends_EB - 1 - before_EB).clamp(max=self.tree.depth)
        sequence_EB = self.cache.sequences_B1[:, 0].expand(before_EB.shape)
        columns = (sequence_EB, before_EB + 1, usable_EB, accepted_EB.minimum(usable_EB))
        return Drafts(*(column[active_EB] for column in columns))
