"""Divide names, which are pairs of a first and a second token, between the splits, and find and change names in stories.

The number of a pair is first x second_names + second. Shapes: B sequences, T positions, F first names, S second names, C casts,
R some of the B sequences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.core.insight import Contrast, choose
from tasks.core.rng import stream
from tasks.core.splits import SPLITS
from tasks.settings import require
from tasks.stories.roles import FIRST_AGAIN, FIRST_NEW
from tasks.stories.tables import Tables
from tasks.stories.written import roles_of

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Names:
    """The pairs of name tokens, by settings of the task `stories`.

    Attributes:
        first_names: Number of first name tokens.
        second_names: Number of second name tokens.
        names: Number of pairs that are the fixed names of training.
        unseen: Share of name tokens that never occur in training.
    """

    first_names: int
    second_names: int
    names: int
    unseen: float

    def check(self, characters: int, different: int) -> None:
        """Reject settings with too few names.

        Args:
            characters: Most characters of a story.
            different: How many of the fixed names a story needs that differ in their first token.

        Raises:
            TaskError: Naming the setting.
        """
        first, second = self.seen(self.first_names), self.seen(self.second_names)
        most = first * second - 4 * 16
        enough = f"so large that, with first_names = {self.first_names}, there are {characters + 64} pairs of seen tokens"
        require(characters <= most, "stories.second_names", self.second_names, f"{enough} ({first * second})")
        allowed = f"between {characters} and {most}, pairs of seen tokens minus 64"
        require(characters <= self.names <= most, "stories.names", self.names, allowed)
        if self.names <= (different - 1) * second:  # more cannot share fewer first tokens
            found = len(np.unique(self.pairs("train") // self.second_names))
            allowed = f"large enough for {different} different first names ({found} here)"
            require(found >= different, "stories.names", self.names, allowed)

    def pairs(self, split: str) -> Ints:
        """Return the names of a split in a keyed order, those of training without its fresh ones."""
        known = stream("stories/pairs", seed=0, index=0).permutation(np.flatnonzero(self._is_seen))
        return known[: self.names] if split == "train" else known[self.names :][SPLITS.index(split) :: 4]

    def other_pairs(self, split: str) -> Ints:
        """Return the fresh names of training, and the names with an unseen token of validation and test."""
        if split == "train":
            return np.setdiff1d(np.flatnonzero(self._is_seen), np.concatenate([self.pairs(each) for each in SPLITS]))
        unknown = stream("stories/unseen", seed=0, index=0).permutation(np.flatnonzero(~self._is_seen))
        return unknown[SPLITS.index(split) - 1 :: 2]

    def seen(self, pool: int) -> int:
        """Return how many of `pool` name tokens occur in training."""
        return pool - int(np.ceil(self.unseen * pool)) if self.unseen else pool

    def casts(self) -> list[Ints]:
        """Return the sets of names, of which each story uses one."""
        held_back = [np.concatenate([self.pairs(split), self.other_pairs(split)]) for split in SPLITS[1:]]
        return [self.pairs("train"), self.other_pairs("train"), *held_back]

    @property
    def _is_seen(self) -> NDArray[np.bool_]:
        """(first_names x second_names,) bool, whether both tokens of each pair occur in training."""
        first, second = np.divmod(np.arange(self.first_names * self.second_names), self.second_names)
        return np.asarray((first < self.seen(self.first_names)) & (second < self.seen(self.second_names)))


def rename(tokens: Ints, tables: Tables, names: Names) -> Contrast:
    """Change the second name of a character, wherever it occurs, to another one of its split.

    Args:
        tokens: (B, T) ids of stories of the grammar.
        tables: The tables of the grammar.
        names: The names of the task.
    """
    is_new_BT = roles_of(tokens, tables) == FIRST_NEW
    position_B1 = choose(tokens, is_new_BT)[:, None]
    first_B1, second_B1 = (np.take_along_axis(tokens, position_B1 + offset, axis=1) for offset in (0, 1))
    shape = (names.first_names, names.second_names)
    cast_CFS = np.stack([np.isin(np.arange(shape[0] * shape[1]), cast).reshape(shape) for cast in names.casts()])
    cast_BCS = cast_CFS[:, first_B1[:, 0] - tables.first_token].swapaxes(0, 1)  # second names of the first name, by cast
    own_B = np.take_along_axis(cast_BCS, second_B1[:, None] - tables.second_token, axis=2)[:, :, 0].argmax(axis=1)
    others_BS = cast_BCS[np.arange(len(tokens)), own_B]
    np.put_along_axis(others_BS, second_B1 - tables.second_token, False, axis=1)
    sequence_R = np.flatnonzero(others_BS.any(axis=1))
    new_R = tables.second_token + choose(tokens[sequence_R], others_BS[sequence_R], key=1)
    follows_RT = np.pad(tokens == first_B1, ((0, 0), (1, 0)))[sequence_R, :-1]  # the first name
    changed_R1 = position_B1[sequence_R] + 1
    later_RT = follows_RT & (np.arange(tokens.shape[1]) > changed_R1)
    return Contrast(
        sequence=sequence_R,
        tokens=np.where(follows_RT, new_R[:, None], tokens[sequence_R]),
        changed=changed_R1[:, 0],
        answer=later_RT.argmax(axis=1),
    )


def second_names(tokens: Ints, tables: Tables) -> Ints:
    """Return the number of the second name that belongs to the first token of each repeated name, (B, T); -1 elsewhere."""
    position_T = np.arange(tokens.shape[1])
    before_BTT = (tokens[:, :, None] == tokens[:, None]) & (position_T < position_T[:, None])
    second_BT = np.take_along_axis(tokens, before_BTT.argmax(axis=2) + 1, axis=1) - tables.second_token
    return np.where(roles_of(tokens, tables) == FIRST_AGAIN, np.maximum(second_BT, -1), -1)
