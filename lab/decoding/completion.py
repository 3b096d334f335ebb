"""Completion of sequences token by token with the next-token head. B sequences, T positions, P of the prompt, V vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

SEQUENCES_AT_ONCE = 256
"""Sequences of one forward pass."""

Forced = Callable[[Tensor], Tensor]
"""Imposes tokens on the next position: prefix (B, t) int64 -> (B,) int64 ids, `FREE` where the network chooses."""
FREE = -1


class NextToken(Protocol):
    """What completion needs of a network."""

    def next_logits(self, tokens_BT: Tensor) -> Tensor:
        """Compute logits (B, V) of the token after the last one."""


def sample(
    network: NextToken, prompt_BP: Tensor, length: int, generator: torch.Generator, forced: Forced | None = None
) -> Tensor:
    """Complete sequences by drawing each token from the network's distribution, at temperature 1.

    Every sequence and position has a draw of its own from the generator, made in advance: neither the device, nor the number of
    sequences in one forward pass, nor forced tokens change which draw decides a token.

    Args:
        network: In evaluation mode.
        prompt_BP: (B, P) int64, P >= 1.
        length: T, tokens of a complete sequence.
        generator: Of the draws, on the CPU.
        forced: Tokens imposed instead; by default none.

    Returns:
        (B, T) int64, on the prompt's device.
    """
    draws_BS = torch.rand(len(prompt_BP), length - prompt_BP.shape[1], generator=generator, dtype=torch.float64)

    def pick(logits_BV: Tensor, step: int, sequences: slice) -> Tensor:
        cumulated_BV = logits_BV.double().softmax(-1).cumsum(-1)
        draw_B1 = draws_BS[sequences, step, None].to(logits_BV.device) * cumulated_BV[:, -1:]  # the last is 1 up to rounding
        return torch.searchsorted(cumulated_BV, draw_B1, right=True)[:, 0].clamp(max=logits_BV.shape[1] - 1)

    return _complete(network, prompt_BP, length, pick, forced)


def greedy(network: NextToken, prompt_BP: Tensor, length: int, forced: Forced | None = None) -> Tensor:
    """Complete sequences by the most probable token, the smallest id among equals. Arguments and result as of `sample`."""
    return _complete(network, prompt_BP, length, lambda logits_BV, *_: logits_BV.argmax(-1), forced)


@torch.no_grad()
def _complete(
    network: NextToken,
    prompt_BP: Tensor,
    length: int,
    pick: Callable[[Tensor, int, slice], Tensor],
    forced: Forced | None,
) -> Tensor:
    done = []
    for begin in range(0, len(prompt_BP), SEQUENCES_AT_ONCE):
        sequences = slice(begin, begin + SEQUENCES_AT_ONCE)
        tokens_BT = prompt_BP[sequences]
        for step in range(length - prompt_BP.shape[1]):
            imposed_B = None if forced is None else forced(tokens_BT)
            if imposed_B is None or bool((imposed_B == FREE).any()):
                next_B = pick(network.next_logits(tokens_BT), step, sequences)
                if imposed_B is not None:
                    next_B = torch.where(imposed_B == FREE, next_B, imposed_B)
            else:
                next_B = imposed_B  # no forward pass
            tokens_BT = torch.cat([tokens_BT, next_B[:, None]], dim=1)
        done.append(tokens_BT)
    return torch.cat(done)
