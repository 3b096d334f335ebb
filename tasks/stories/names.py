"""The names of characters: pairs of a first and a second token, divided between the splits; and what a story tells of them.

A pair is the number first x second_names + second. Shapes: B sequences, T positions, S second names.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.core.insight import Contrast, choose
from tasks.core.rng import stream
from tasks.core.splits import SPLITS
from tasks.stories.roles import FIRST_AGAIN, FIRST_NEW
from tasks.stories.tables import Tables
from tasks.stories.written import roles_of

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Names:
    """The pairs of some settings of stories, whose names these are."""

    first_names: int
    second_names: int
    names: int
    unseen: float

    def pairs(self, split: str) -> Ints:
        """Return the names of a split in a keyed order; of training, its fixed pairs."""
        known = stream("stories/pairs", seed=0, index=0).permutation(np.flatnonzero(self._is_seen))
        return known[: self.names] if split == "train" else known[self.names :][SPLITS.index(split) :: 4]

    def other_pairs(self, split: str) -> Ints:
        """Return the pairs of fresh names in training, and of names with an unseen token in validation and test."""
        if split == "train":
            return np.setdiff1d(np.flatnonzero(self._is_seen), np.concatenate([self.pairs(each) for each in SPLITS]))
        unknown = stream("stories/unseen", seed=0, index=0).permutation(np.flatnonzero(~self._is_seen))
        return unknown[SPLITS.index(split) - 1 :: 2]

    def seen(self, pool: int) -> int:
        """Return how many of a pool of name tokens occur in training."""
        return pool - int(np.ceil(self.unseen * pool)) if self.unseen else pool

    def casts(self) -> list[Ints]:
        """Return the sets of pairs from which all names of a story come."""
        held_back = [np.concatenate([self.pairs(split), self.other_pairs(split)]) for split in SPLITS[1:]]
        return [self.pairs("train"), self.other_pairs("train"), *held_back]

    @property
    def _is_seen(self) -> NDArray[np.bool_]:
        """Whether both tokens of each pair occur in training."""
        first, second = np.divmod(np.arange(self.first_names * self.second_names), self.second_names)
        return np.asarray((first < self.seen(self.first_names)) & (second < self.seen(self.second_names)))


def rename(tokens: Ints, tables: Tables, names: Names) -> Contrast:
    """Change the second name of a character to another of its split wherever it occurs.

    Args:
        tokens: (B, T) ids of stories of the grammar.
        tables: Of the grammar.
        names: Of the settings.
    """
    new_BT = roles_of(tokens, tables) == FIRST_NEW
    place_B1 = choose(tokens, new_BT)[:, None]
    first_B1, old_B1 = (np.take_along_axis(tokens, place_B1 + offset, axis=1) for offset in (0, 1))
    shape = (names.first_names, names.second_names)
    cast_CFS = np.stack([np.isin(np.arange(shape[0] * shape[1]), cast).reshape(shape) for cast in names.casts()])
    of_first_BCS = cast_CFS[:, first_B1[:, 0] - tables.first_token].swapaxes(0, 1)
    own_B = np.take_along_axis(of_first_BCS, old_B1[:, None] - tables.second_token, axis=2)[:, :, 0].argmax(axis=1)
    others_BS = of_first_BCS[np.arange(len(tokens)), own_B]
    np.put_along_axis(others_BS, old_B1 - tables.second_token, False, axis=1)
    sequence_R = np.flatnonzero(others_BS.any(axis=1))
    new_R = tables.second_token + choose(tokens[sequence_R], others_BS[sequence_R], key=1)
    theirs_RT = np.pad(tokens == first_B1, ((0, 0), (1, 0)))[sequence_R, :-1]
    changed_R1 = place_B1[sequence_R] + 1
    later_RT = theirs_RT & (np.arange(tokens.shape[1]) > changed_R1)
    return Contrast(
        sequence=sequence_R,
        tokens=np.where(theirs_RT, new_R[:, None], tokens[sequence_R]),
        changed=changed_R1[:, 0],
        answer=later_RT.argmax(axis=1),
    )


def second_names(tokens: Ints, tables: Tables) -> Ints:
    """Return the number of the second name that belongs to each first token (B, T) of a name met before; -1 elsewhere."""
    position_T = np.arange(tokens.shape[1])
    met_BTT = (tokens[:, :, None] == tokens[:, None]) & (position_T < position_T[:, None])
    second_BT = np.take_along_axis(tokens, met_BTT.argmax(axis=2) + 1, axis=1) - tables.second_token
    return np.where(roles_of(tokens, tables) == FIRST_AGAIN, np.maximum(second_BT, -1), -1)
