"""What decoding returns: tokens, forward passes, and which drafts were accepted. B sequences, T positions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class Drafts(NamedTuple):
    """Drafts of a sequence, one for each forward pass that checked one; all (E,) int64.

    Attributes:
        sequence: Index of the sequence.
        position: Position of the first drafted token.
        drafted: Tokens ahead that were drafted and could have been used: neither beyond the last new token nor after a stop.
        accepted: How many of them were accepted: the tokens at `position` and after.
    """

    sequence: Tensor
    position: Tensor
    drafted: Tensor
    accepted: Tensor


@dataclass(frozen=True, eq=False)
class Completion:
    """Completed sequences.

    Attributes:
        tokens_BT: (B, T) int64: prompt, new tokens, zeros.
        prompts: Tokens of each prompt.
        lengths: Tokens of each sequence, prompt and stop token included.
        forwards: Forward passes that each sequence took part in, that over its prompt included.
        drafts: The drafts of all passes; empty where head 1 decoded alone.
    """

    tokens_BT: Tensor
    prompts: tuple[int, ...]
    lengths: tuple[int, ...]
    forwards: tuple[int, ...]
    drafts: Drafts

    @property
    def sequences(self) -> list[Tensor]:
        """The tokens of each sequence, prompt included, without padding."""
        return [tokens[:length] for tokens, length in zip(self.tokens_BT, self.lengths, strict=True)]

    @property
    def new_tokens(self) -> int:
        """New tokens of all sequences."""
        return sum(self.lengths) - sum(self.prompts)

    @property
    def tokens_per_forward(self) -> float:
        """New tokens for each forward pass of a sequence; prediction and verification are one pass (paper, section 3.2).

        NaN without a forward pass.
        """
        return self.new_tokens / sum(self.forwards) if any(self.forwards) else math.nan

    @property
    def mean_acceptance_length(self) -> float:
        """Tokens for each pass that checked a draft: accepted ones and the one that head 1 adds, if there is room for it.

        NaN without drafts.
        """
        sequence, position, _, accepted = self.drafts
        room = torch.tensor(self.lengths, device=sequence.device)[sequence] - position
        return float((accepted + 1).minimum(room).double().mean())

    def acceptance(self, ahead: int) -> float:
        """Return how often the draft of `ahead` tokens, counted from 1 (prediction head `ahead` + 1), was accepted."""
        return _share(self.drafts.accepted >= ahead, self.drafts.drafted >= ahead)

    def acceptance_given_reached(self, ahead: int) -> float:
        """Return how often the draft of `ahead` tokens was accepted where all before it were."""
        reached = (self.drafts.drafted >= ahead) & (self.drafts.accepted >= ahead - 1)
        return _share(self.drafts.accepted >= ahead, reached)

    def is_draft(self) -> Tensor:
        """Return whether each token is an accepted draft, (B, T) bool."""
        marks = torch.zeros(self.tokens_BT.shape, dtype=torch.bool)
        for sequence, position, _, accepted in zip(*(each.tolist() for each in self.drafts), strict=True):
            marks[sequence, position : position + accepted] = True
        return marks


def join(parts: Sequence[Completion]) -> Completion:
    """Return completions of several groups of sequences as one."""
    longest = max(part.tokens_BT.shape[1] for part in parts)
    padded = [torch.nn.functional.pad(part.tokens_BT, (0, longest - part.tokens_BT.shape[1])) for part in parts]
    firsts = [sum(len(part.lengths) for part in parts[:number]) for number in range(len(parts))]
    moved = [part.drafts._replace(sequence=part.drafts.sequence + first) for part, first in zip(parts, firsts, strict=True)]
    return Completion(
        torch.cat(padded),
        tuple(length for part in parts for length in part.prompts),
        tuple(length for part in parts for length in part.lengths),
        tuple(count for part in parts for count in part.forwards),
        Drafts(*(torch.cat(column) for column in zip(*moved, strict=True))),
    )


def no_drafts() -> Drafts:
    """Return the drafts of a decoder that makes none."""
    return Drafts(*(torch.empty(0, dtype=torch.int64) for _ in Drafts._fields))


def _share(hits: Tensor, among: Tensor) -> float:
    return float(hits[among].double().mean())
