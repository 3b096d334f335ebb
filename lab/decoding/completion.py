"""Completion of sequences token by token with head 1 alone, from a cache.

B sequences, P tokens of the longest prompt, S of the longest completed sequence, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from lab.decoding.prompts import Padded, Prompts, pad
from lab.decoding.result import Completion, join, no_drafts
from lab.decoding.sampling import Sampling, generator_of, pick, uniform
from lab.errors import LabError, check_count
from lab.model import Context, Network
from lab.model.cache import Cache

SEQUENCES_AT_ONCE = 256
"""Sequences of one forward pass."""

Forced = Callable[[Tensor], Tensor]
"""Imposes tokens on the next position: prefix (B, t) int64 -> (B,) int64 ids, `FREE` where the network chooses."""
FREE = -1


@torch.no_grad()
def complete(
    network: Network,
    prompts: Prompts,
    new_tokens: int,
    stop: int | None = None,
    sampling: Sampling | None = None,
    forced: Forced | None = None,
) -> Completion:
    """Complete sequences token by token with the next-token head.

    Every sequence and new token has a draw of its own, made in advance: neither the device, nor the number of sequences in one
    forward pass, nor imposed tokens change which draw decides a token.

    Args:
        network: In evaluation mode.
        prompts: (B, P) int64, or the tokens of each prompt, of any lengths from 1.
        new_tokens: Tokens to add to each sequence, unless it stops before.
        stop: The token after which a sequence ends; None for none.
        sampling: How tokens are drawn; None for the most probable one, the smallest id among equals.
        forced: Tokens imposed instead, of prompts of one length; None for none.

    Raises:
        LabError: If a prompt is empty or has a token outside the vocabulary, `new_tokens` is below 0, or tokens are imposed on
            prompts of different lengths.
    """
    padded = pad(prompts, network.spec.vocabulary, network.embedding.weight.device)
    new_tokens = check_count("new_tokens", new_tokens, least=0)
    if forced is not None and not padded.same_length:
        raise LabError("forced must be None with prompts of different lengths")
    uniform_BS = uniform(generator_of(sampling), len(padded.lengths_B), new_tokens)
    parts = zip(padded.split(SEQUENCES_AT_ONCE), torch.split(uniform_BS, SEQUENCES_AT_ONCE), strict=True)
    with torch.inference_mode(network.sites is None):  # a fifth faster than no_grad; but an edit may keep activations
        done = [_complete(network, part, stop, sampling, draws_BS, forced) for part, draws_BS in parts]
    return join(done)


def _complete(
    network: Network,
    prompts: Padded,
    stop: int | None,
    sampling: Sampling | None,
    uniform_BS: Tensor,
    forced: Forced | None,
) -> Completion:
    """Complete the sequences of one group, which share their forward passes."""
    P, count = prompts.tokens_BP.shape[1], uniform_BS.shape[1]
    reader = _Reader(network, prompts, P + count)
    ends_B, forwards_B = prompts.lengths_B, torch.zeros_like(prompts.lengths_B)
    stopped_B = torch.zeros_like(ends_B, dtype=torch.bool)
    for step in range(count):
        imposed_B = None if forced is None else forced(reader.tokens_BS[:, : P + step])
        if imposed_B is None or bool((imposed_B == FREE).any()):
            next_B = pick(reader.next_logits(), sampling, uniform_BS[:, step])
            next_B = next_B if imposed_B is None else torch.where(imposed_B == FREE, next_B, imposed_B)
            forwards_B += ~stopped_B
        else:
            next_B = imposed_B  # no forward pass
        reader.append(next_B)
        ends_B = ends_B + ~stopped_B
        if stop is not None:
            stopped_B = stopped_B | (next_B == stop)
            if bool(stopped_B.all()):
                break
    lengths = ends_B.tolist()
    inside_BS = torch.arange(P + count, device=ends_B.device) < ends_B[:, None]
    tokens_BT = reader.tokens_BS.where(inside_BS, 0)[:, : max(lengths)]
    return Completion(tokens_BT, tuple(prompts.lengths_B.tolist()), tuple(lengths), tuple(forwards_B.tolist()), no_drafts())


class _Reader:
    """Sequences that grow by one token at a time, and the network's logits after their last tokens.

    The network reads each token once, from a cache; where activations are edited or recorded, all of them each time.

    Attributes:
        tokens_BS: (B, S) int64, prompts and new tokens.
    """

    def __init__(self, network: Network, prompts: Padded, capacity: int) -> None:
        B, P = prompts.tokens_BP.shape
        self.tokens_BS = F.pad(prompts.tokens_BP, (0, capacity - P))
        self._network, self._ends_B, self._longest = network, prompts.lengths_B, P
        self._same_length = prompts.same_length
        self._sequences_B = torch.arange(B, device=self.tokens_BS.device)
        self._cache = Cache(B, capacity, self.tokens_BS.device) if network.sites is None else None

    def append(self, next_B: Tensor) -> None:
        """Add a token to each sequence."""
        if self._same_length:
            self.tokens_BS[:, self._longest] = next_B
        else:
            self.tokens_BS[self._sequences_B, self._ends_B] = next_B
        self._ends_B, self._longest = self._ends_B + 1, self._longest + 1

    def next_logits(self) -> Tensor:
        """Compute the next-token logits (B, V) after each sequence's last token."""
        unread_BT = self._unread()
        hidden_BTD = self._network(unread_BT, [1], Context(cache=self._cache))[0]
        if self._same_length or unread_BT.shape[1] == 1:
            last_B1D = hidden_BTD[:, -1:]
        else:
            last_B1D = hidden_BTD[self._sequences_B, self._ends_B - 1, None]
        if self._cache is not None and not self._same_length:
            self._cache.cut(self._ends_B)
        return self._network.unembed(last_B1D, 1)[:, 0]

    def _unread(self) -> Tensor:
        """Return the tokens that the network has to read."""
        if self._cache is None or not self._cache.longest:
            return self.tokens_BS[:, : self._longest]
        if self._same_length:
            return self.tokens_BS[:, self._cache.longest : self._longest]
        return self.tokens_BS[self._sequences_B, self._ends_B - 1, None]
