"""Children's stories in which characters have names of two tokens (Gloeckle et al. 2024, section 4.1).

One story, for example, its name tokens marked:

    one morning [Anna Baker] met [Ben Carter] in the park . ... [Ben Carter] ran to [Anna Baker] . <end>
                 new  new         new new                         again         again

The second token of a name that was met before can be told by copying alone: that is pure induction, the paper's metric. Names
of validation and test are pairs that training never has, some of tokens that it never has.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks import story_grammar as grammar
from tasks.base import PADDING, Batch, Task
from tasks.errors import TaskError
from tasks.settings import require
from tasks.story_tables import Tables, build_tables
from tasks.streams import SPLITS, stream

WORD, FIRST_NEW, SECOND_NEW, FIRST_AGAIN, SECOND_AGAIN, END = range(1, 7)
MOST_CHARACTERS = 4


@dataclass(frozen=True, kw_only=True)
class Stories(Task):
    """Word-level stories of 2 to 4 characters, each named by a first and a second token and mentioned 3 to 8 times."""

    name: ClassVar[str] = "stories"
    summary: ClassVar[str] = "tell children's stories whose characters have names of two tokens"
    source: ClassVar[str] = "Gloeckle et al. 2024, section 4.1 and appendix J"
    roles = (PADDING, "word", "first_new", "second_new", "first_again", "second_again", "end")
    headline: ClassVar[str] = "accuracy/second_again"
    splits_itself: ClassVar[bool] = True

    length: int = 128
    """T, tokens in a row; shorter stories are padded."""
    characters: tuple[int, int] = (2, 4)
    """Fewest and most characters of a story; uniform between them."""
    first_names: int = 32
    """First name tokens there are."""
    second_names: int = 32
    """Second name tokens there are."""
    names: int = 500
    """Fixed pairs from which training takes its names."""
    fresh: float = 0.0
    """Share of training stories whose names are other pairs, random ones: data that forces induction (appendix J)."""
    unseen: float = 0.1
    """Share of name tokens that training never has: the reason why accuracy cannot quite reach 1."""

    def check(self) -> None:
        low, high = self.characters
        allowed = f"[low, high] with 2 <= low <= high <= {MOST_CHARACTERS}"
        require(2 <= low <= high <= MOST_CHARACTERS, "stories.characters", self.characters, allowed)
        for setting, size in (("first_names", self.first_names), ("second_names", self.second_names)):
            require(8 <= size <= 4096, f"stories.{setting}", size, "between 8 and 4096")
        for setting, share, most in (("fresh", self.fresh, 1.0), ("unseen", self.unseen, 0.5)):
            require(0 <= share <= most, f"stories.{setting}", share, f"between 0 and {most:g}")
        pairs = self._seen(self.first_names) * self._seen(self.second_names)
        most = pairs - 4 * 16
        require(
            high <= self.names <= most, "stories.names", self.names, f"between {high} and {most}, pairs of seen tokens less 64"
        )
        longest = self._tables.longest
        require(self.length >= longest, "stories.length", self.length, f"at least {longest}, the longest story")

    @property
    def vocab_size(self) -> int:
        return len(self._tables.words)

    def word(self, token: int) -> str:
        return self._tables.words[token]

    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        tables = self._tables
        cast_B4, n_B = self._cast(rng, size, split)
        parts_B16 = _parts(rng, n_B)
        plot_B1 = rng.integers(len(tables.templates), size=(size, 1))
        telling_B8 = rng.integers(2, size=(size, len(grammar.PARTS)))
        beat_8 = np.arange(len(grammar.PARTS))
        codes_B8L = tables.templates[plot_B1, beat_8, telling_B8]
        who_B8L = np.take_along_axis(parts_B16, tables.speaker[plot_B1, beat_8, telling_B8].reshape(size, -1), axis=1)
        person_BC = np.take_along_axis(cast_B4, who_B8L, axis=1)  # the pair that each place would name
        filler_BS = rng.random((size, len(tables.fillers)))
        words_BS = tables.fillers_at(filler_BS)
        codes_BC = codes_B8L.reshape(size, -1)
        tokens_BC = tables.resolve(codes_BC, person_BC // self.second_names, person_BC % self.second_names, words_BS)
        roles_BC = self._roles(codes_BC, who_B8L)
        return self._packed(tokens_BC, roles_BC)

    def floor(self, role: str) -> float | None:
        """`second_again` and `end`: 0. `first_again`: who acts is settled but for two coins, so mean coin entropy a mention.

        One coin says which of the first two characters is in need (ln 2), one who of the others acts, where both could:
        always with four characters, in half of the stories with three, never with two. A story has 16 mentions, one of each
        character is its first. `word`, `first_new` and `second_new` have no closed form: they mix the tellings that share a
        beginning, and names without repetition of a first token.
        """
        number = self.role(role)
        if number in (SECOND_AGAIN, END):
            return 0.0
        if number != FIRST_AGAIN:
            return None
        counts = np.arange(self.characters[0], self.characters[1] + 1)
        coins = 1 + np.array([{2: 0.0, 3: 0.5, 4: 1.0}[int(n)] for n in counts])
        return float(np.log(2) * coins.sum() / (2 * len(grammar.PARTS) - counts).sum())

    def chance(self, role: str) -> float | None:
        """For name tokens 1 / their number; None for words, whose best guess depends on the grammar."""
        if role.startswith("first"):
            return 1 / self.first_names
        return 1 / self.second_names if role.startswith("second") else None

    def pairs(self, split: str) -> NDArray[np.int64]:
        """The names of a split as first x second_names + second, in a keyed order; of training, its fixed pairs alone."""
        grid = np.arange(self.first_names * self.second_names)
        first, second = np.divmod(grid, self.second_names)
        seen = (first < self._seen(self.first_names)) & (second < self._seen(self.second_names))
        known = stream("stories/pairs", seed=0, index=0).permutation(grid[seen])
        if split == "train":
            return known[: self.names]
        return known[self.names :][SPLITS.index(split) :: 4]

    def _fresh_pairs(self) -> NDArray[np.int64]:
        """Pairs that training has where its names are fresh: never those of validation and test."""
        others = np.concatenate([self.pairs(split) for split in SPLITS])
        seen_first, seen_second = np.arange(self._seen(self.first_names)), np.arange(self._seen(self.second_names))
        grid = (seen_first[:, None] * self.second_names + seen_second).ravel()
        return np.setdiff1d(grid, others)

    def _unseen_pairs(self, split: str) -> NDArray[np.int64]:
        """Pairs with a token that training never has; half of them validate, half test."""
        grid = np.arange(self.first_names * self.second_names)
        first, second = np.divmod(grid, self.second_names)
        unknown = (first >= self._seen(self.first_names)) | (second >= self._seen(self.second_names))
        return stream("stories/unseen", seed=0, index=0).permutation(grid[unknown])[SPLITS.index(split) - 1 :: 2]

    def _seen(self, pool: int) -> int:
        return pool - int(np.ceil(self.unseen * pool)) if self.unseen else pool

    def _cast(self, rng: np.random.Generator, size: int, split: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Names (B, 4) of the characters, first tokens all different, and how many of them take part (B,)."""
        main = self.pairs(split)
        other = self._fresh_pairs() if split == "train" else self._unseen_pairs(split)
        if split == "train":
            from_other = np.repeat(rng.random((size, 1)) < self.fresh, MOST_CHARACTERS, axis=1)
        else:
            from_other = rng.random((size, MOST_CHARACTERS)) < 1 - (1 - self.unseen) ** 2
        cast = np.empty((size, MOST_CHARACTERS), dtype=np.int64)
        redo = np.arange(size)
        for _ in range(1000):
            shape = (len(redo), MOST_CHARACTERS)
            drawn = main[rng.integers(len(main), size=shape)]
            if len(other):
                drawn = np.where(from_other[redo], other[rng.integers(len(other), size=shape)], drawn)
            cast[redo] = drawn
            ordered = np.sort(drawn // self.second_names, axis=1)
            redo = redo[(ordered[:, 1:] == ordered[:, :-1]).any(axis=1)]
            if not len(redo):
                return cast, rng.integers(*self.characters, size=size, endpoint=True)
        raise TaskError(
            f"stories.names: {self.names} pairs hold too few different first names for {MOST_CHARACTERS} characters"
        )

    def _roles(self, codes_BC: NDArray[np.int64], who_BC: NDArray[np.int64]) -> NDArray[np.int64]:
        first, second = self._tables.first_code, self._tables.first_code + 1
        roles_BC = np.where(codes_BC == self._tables.pad_code, 0, WORD)
        for code, new, again in ((first, FIRST_NEW, FIRST_AGAIN), (second, SECOND_NEW, SECOND_AGAIN)):
            named = codes_BC == code
            roles_BC[named] = again
            for character in range(MOST_CHARACTERS):
                theirs = named & (who_BC == character)
                row, place = np.flatnonzero(theirs.any(axis=1)), theirs.argmax(axis=1)
                roles_BC[row, place[row]] = new
        return roles_BC

    def _packed(self, tokens_BC: NDArray[np.int64], roles_BC: NDArray[np.int64]) -> Batch:
        """Rows without the gaps between sentences, ended and padded."""
        size = len(tokens_BC)
        row, column = np.nonzero(roles_BC)
        ends = (roles_BC != 0).sum(axis=1)
        place = np.arange(len(row)) - np.repeat(np.cumsum(ends) - ends, ends)
        tokens = np.full((size, self.length), self._tables.pad_token, dtype=np.int64)
        roles = np.zeros((size, self.length), dtype=np.int64)
        tokens[row, place], roles[row, place] = tokens_BC[row, column], roles_BC[row, column]
        tokens[np.arange(size), ends], roles[np.arange(size), ends] = self._tables.end_token, END
        return self.rows(tokens, roles)

    @property
    def _tables(self) -> Tables:
        return _tables(self.first_names, self.second_names)


@lru_cache(maxsize=8)
def _tables(first_names: int, second_names: int) -> Tables:
    return build_tables(first_names, second_names)


def _parts(rng: np.random.Generator, n_B: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which character (0 to 3, modulo how many there are) has each part: (B, 2 x beats), X and Y of each beat in turns."""
    size = len(n_B)
    needy = rng.integers(2, size=size)
    helper = 1 - needy
    finder = 2 + rng.integers(2, size=size)
    clash = finder % n_B == helper % n_B
    finder = np.where(clash, 5 - finder, finder)
    zero = np.zeros(size, dtype=np.int64)
    who = {
        "first": zero, "second": zero + 1, "third": zero + 2, "fourth": zero + 3,
        "needy": needy, "helper": helper, "finder": finder, "friend": 5 - finder,
    }  # fmt: skip
    order = [who[part] for pair in grammar.PARTS for part in pair]
    return np.stack(order, axis=1) % n_B[:, None]
