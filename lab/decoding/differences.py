"""Find where the outputs of two decoders differ, and how near to a tie their choices were. B sequences, T positions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lab.decoding.completion import SEQUENCES_AT_ONCE
from lab.decoding.result import Completion
from lab.model import Network


@dataclass(frozen=True)
class Difference:
    """The first position at which two decoders differ on a sequence.

    Decoders multiply matrices of different shapes, which may round differently: a gap of the size of rounding errors is a tie.

    Attributes:
        sequence: Index of the sequence.
        position: Index of the token in it.
        gap: Difference of head 1's two largest logits there, given the tokens before it.
    """

    sequence: int
    position: int
    gap: float


@torch.no_grad()
def find_differences(network: Network, alone: Completion, other: Completion) -> list[Difference]:
    """Return where greedy completions of the same prompts differ, at most one position of each sequence."""
    found = []
    for number, (mine, theirs) in enumerate(zip(alone.sequences, other.sequences, strict=True)):
        length = min(len(mine), len(theirs))
        differs = (mine[:length] != theirs[:length]).nonzero()
        if len(differs) or len(mine) != len(theirs):
            position = int(differs[0]) if len(differs) else length
            (gap_T,) = _gaps(network, mine[None, :position])
            found.append(Difference(number, position, float(gap_T[-1])))
    return found


@torch.no_grad()
def smallest_gap(network: Network, completion: Completion) -> float:
    """Return the smallest gap between head 1's two best logits over all new tokens: how near to a tie any choice was."""
    begin, smallest = 0, torch.inf
    for tokens_BT in torch.split(completion.tokens_BT, SEQUENCES_AT_ONCE):
        for gap_T in _gaps(network, tokens_BT):
            new = gap_T[completion.prompts[begin] - 1 : completion.lengths[begin] - 1]
            smallest = min(smallest, float(new.min()) if len(new) else torch.inf)
            begin += 1
    return smallest


def _gaps(network: Network, tokens_BT: Tensor) -> Iterator[Tensor]:
    """Yield for each sequence the gap between the two best next-token logits at each position, (T,)."""
    best_BT2 = network.logits(tokens_BT).topk(2).values
    yield from best_BT2[..., 0] - best_BT2[..., 1]
