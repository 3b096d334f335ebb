"""Draw the stories of a corpus as sequences, with new names in validation and test; training can mix in another text.

Shapes: B sequences, T positions, C characters.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from tasks.core.splits import SPLITS
from tasks.errors import TaskError
from tasks.stories.corpus.corpus import Corpus, Mix, open_corpus, open_mix
from tasks.stories.corpus.names import Pool, choose_names
from tasks.stories.roles import WORD

Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Source:
    """All that sequences depend on.

    The fields are settings of the task `stories`, and the hash of the content of each file that they name.
    """

    corpus: str
    corpus_content: str
    names_file: str | None
    names_content: str
    mix: str | None
    mix_content: str | None
    mix_share: float
    vocabulary: int
    length: int
    first_names: int
    second_names: int
    unseen: float


@lru_cache(maxsize=8)
def open_stories(source: Source) -> CorpusStories:
    """Return the stories of a source; equal tasks share them.

    Raises:
        TaskError: If the files or settings cannot be used.
    """
    return CorpusStories(source)


class CorpusStories:
    """The stories of a corpus that are drawn as sequences.

    Attributes:
        corpus: The tokenised corpus.
        kept: The numbers of the stories in use, by split.
        facts: The number of stories of each split, of those in use, and of those left out, by reason.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.corpus: Corpus = open_corpus(source.corpus, source.corpus_content, source.names_file, source.vocabulary)
        self.kept: dict[str, Integers] = {}
        self.facts: dict[str, int] = {}
        self._most: dict[str, int] = {}
        for split in SPLITS:
            self._select(split)
        if source.mix is not None and len(self._mix.codes) < source.length:
            tokens = len(self._mix.codes)
            raise TaskError(f"stories.mix: {source.mix}: {tokens} tokens, fewer than a sequence of {source.length}")

    def draw(self, rng: np.random.Generator, size: int, split: str) -> tuple[Integers, Integers]:
        """Draw stories uniformly from a split, with replacement; return tokens and roles, (B, T) each."""
        stories, kept, length = self.corpus.splits[split], self.kept[split], self._source.length
        which_B = kept[rng.integers(len(kept), size=size)]
        codes_BT, roles_BT = stories.pad(which_B, length)
        if split != "train":
            return self._insert_names(rng, codes_BT, self._most[split], split), roles_BT
        if self._source.mix is not None:
            mixed_R = np.flatnonzero(rng.random(size) < self._source.mix_share)
            begin_R1 = rng.integers(len(self._mix.codes) - length + 1, size=(len(mixed_R), 1))
            codes_BT[mixed_R], roles_BT[mixed_R] = self._mix.codes[begin_R1 + np.arange(length)], WORD
        return codes_BT, roles_BT

    def _insert_names(self, rng: np.random.Generator, codes_BT: Integers, characters: int, split: str) -> Integers:
        """Replace the placeholders of `placeholder` by names, which are drawn for each story."""
        first_2BC, second_BC = self.names.cast(rng, len(codes_BT), characters, split)
        row_B1, placeholder_BT = np.arange(len(codes_BT))[:, None], codes_BT - self._source.vocabulary
        character_BT = np.clip(placeholder_BT // 4, 0, characters - 1)
        first_BT = first_2BC[placeholder_BT // 2 % 2, row_B1, character_BT]
        name_BT = np.where(placeholder_BT % 2 == 1, second_BC[row_B1, character_BT], first_BT)
        return np.where(placeholder_BT < 0, codes_BT, name_BT)

    def _select(self, split: str) -> None:
        """Select the stories of a split that are in use, and count the others by reason."""
        stories, source = self.corpus.splits[split], self._source
        fits = stories.lengths <= source.length
        named = np.ones(len(fits), dtype=bool) if split == "train" else stories.characters > 0
        few = named if split == "train" else stories.characters <= len(self.names)
        self.kept[split] = np.flatnonzero(fits & named & few)
        self.facts |= {
            f"{split}: stories": len(fits),
            f"{split}: stories that take part": len(self.kept[split]),
            f"{split}: longer than {source.length} tokens": int((~fits).sum()),
        }
        if split != "train":
            self.facts |= {
                f"{split}: without a name": int((~named).sum()),
                f"{split}: with more characters than first names": int((~few).sum()),
            }
        if not len(self.kept[split]):
            what = "" if split == "train" else " with a name"
            shortest = int(stories.lengths.min())
            raise TaskError(
                f"stories.length: no story of {split}{what} has at most {source.length} tokens (the shortest has {shortest})"
            )
        self._most[split] = int(stories.characters[self.kept[split]].max())

    @cached_property
    def names(self) -> Pool:
        """The names of validation and test, which training shows neither in stories nor in the mixture."""
        source, corpus = self._source, self.corpus
        counts, together = corpus.counts, corpus.together
        if source.mix is not None:
            counts, together = counts + self._mix.counts, together | self._mix.together
        return choose_names(
            corpus.tokenizer,
            counts,
            together,
            firsts=source.first_names,
            seconds=source.second_names,
            unseen=source.unseen,
        )

    @cached_property
    def _mix(self) -> Mix:
        """The text to mix in."""
        assert self._source.mix is not None
        assert self._source.mix_content is not None
        return open_mix(self._source.mix, self._source.mix_content, self.corpus)
