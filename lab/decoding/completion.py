"""Completing rows token by token with the next-token head. B rows, T positions, P positions of the prompt, V vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

ROWS_AT_ONCE = 256
"""Rows of one forward pass."""

Forced = Callable[[Tensor], Tensor]
"""What is imposed on the next position: prefix (B, t) int64 -> (B,) int64 ids, -1 where the network is free."""
FREE = -1


class NextToken(Protocol):
    """All that completing asks of a network."""

    def logits(self, tokens_BT: Tensor) -> Tensor:
        """Logits (B, T, V): at position t they predict token t + 1."""


def sample(
    network: NextToken, prompt_BP: Tensor, length: int, generator: torch.Generator, forced: Forced | None = None
) -> Tensor:
    """Complete rows by drawing each token from the network's distribution, at temperature 1.

    Every row and position has its own draw from the generator, made before anything else: neither the device, nor how many rows
    go through the network at once, nor what is forced changes which draw decides what.

    Args:
        network: In evaluation mode.
        prompt_BP: (B, P) int64, P >= 1.
        length: T, tokens of a row in the end.
        generator: Of the draws, on the CPU.
        forced: Tokens imposed instead; by default none.

    Returns:
        (B, T) int64, on the prompt's device.
    """
    draws_BS = torch.rand(len(prompt_BP), length - prompt_BP.shape[1], generator=generator, dtype=torch.float64)

    def pick(logits_BV: Tensor, step: int, rows: slice) -> Tensor:
        cumulated_BV = logits_BV.double().softmax(-1).cumsum(-1)
        draw_B1 = draws_BS[rows, step, None].to(logits_BV.device) * cumulated_BV[:, -1:]  # rounded, the last need not be 1
        return torch.searchsorted(cumulated_BV, draw_B1, right=True)[:, 0].clamp(max=logits_BV.shape[1] - 1)

    return _complete(network, prompt_BP, length, pick, forced)


def greedy(network: NextToken, prompt_BP: Tensor, length: int, forced: Forced | None = None) -> Tensor:
    """Complete rows by the most probable token each time, the smallest id among equals. Arguments and result as of `sample`."""
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
    for begin in range(0, len(prompt_BP), ROWS_AT_ONCE):
        rows = slice(begin, begin + ROWS_AT_ONCE)
        tokens_BT = prompt_BP[rows]
        for step in range(length - prompt_BP.shape[1]):
            imposed_B = None if forced is None else forced(tokens_BT)
            if imposed_B is None or bool((imposed_B == FREE).any()):
                next_B = pick(network.logits(tokens_BT)[:, -1], step, rows)
                if imposed_B is not None:
                    next_B = torch.where(imposed_B == FREE, next_B, imposed_B)
            else:
                next_B = imposed_B  # nobody is asked
            tokens_BT = torch.cat([tokens_BT, next_B[:, None]], dim=1)
        done.append(tokens_BT)
    return torch.cat(done)
