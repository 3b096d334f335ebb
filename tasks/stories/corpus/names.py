"""Choose random names of two tokens for the characters of a corpus, which never occur in training.

A name is a stem and a tail. The tokenizer encodes it as exactly these two tokens, with and without a space before it, and the
second token is the same in both cases. Validation and test have different names.

Shapes: V vocabulary, F stems or first tokens, S tails, M names of a first token, B stories, C characters of a story.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.core.rng import stream
from tasks.errors import TaskError
from tasks.settings import require

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_SPACE = "Ġ"
"""The character that stands for a space in the tokens of a byte-level BPE."""
_BLOCK = 1 << 20
"""Number of codes that are searched together."""

Integers = NDArray[np.integer]


@dataclass(frozen=True, eq=False, kw_only=True)
class Affixes:
    """Tokens to build names from, in a fixed order.

    Attributes:
        stems: Tokens that begin with a capital letter.
        tails: Tokens of small letters.
        stem_ids: (2, F), the id of each stem with a space before it, and without.
        tail_ids: (S,), the id of each tail.
    """

    stems: list[str]
    tails: list[str]
    stem_ids: NDArray[np.int64]
    tail_ids: NDArray[np.int64]


def find_affixes(vocabulary: Mapping[str, int]) -> Affixes:
    """Find the stems and tails in a tokenizer's vocabulary."""
    plain = sorted(token for token in vocabulary if token.isascii() and token.isalpha())
    stems = [token for token in plain if token.istitle() and _SPACE + token in vocabulary]
    tails = [token for token in plain if token.islower() and len(token) > 1]
    ids = [[vocabulary[before + stem] for stem in stems] for before in (_SPACE, "")]
    return Affixes(
        stems=stems,
        tails=tails,
        stem_ids=np.array(ids, dtype=np.int64),
        tail_ids=np.array([vocabulary[tail] for tail in tails], dtype=np.int64),
    )


def find_neighbours(codes: Integers, affixes: Affixes, vocabulary: int) -> NDArray[np.bool_]:
    """Find which tails follow each stem in a text, with or without a space before the stem, (F, S) bool.

    Args:
        codes: (K,) ids of the text.
        affixes: The stems and tails.
        vocabulary: V.
    """
    stem_of, tail_of = np.full(vocabulary, -1), np.full(vocabulary, -1)
    stem_of[affixes.stem_ids] = np.arange(len(affixes.stems))
    tail_of[affixes.tail_ids] = np.arange(len(affixes.tails))
    found = np.zeros((len(affixes.stems), len(affixes.tails)), dtype=bool)
    for begin in range(0, len(codes) - 1, _BLOCK):
        block = codes[begin : begin + _BLOCK + 1]
        stem, tail = stem_of[block[:-1]], tail_of[block[1:]]
        both = (stem >= 0) & (tail >= 0)
        found[stem[both], tail[both]] = True
    return found


@dataclass(frozen=True, eq=False, kw_only=True)
class Pool:
    """The names of validation and test.

    Attributes:
        first_ids: (2, F), the id of each first token with a space before it, and without.
        second_ids: By split, (F, M), the ids of the second tokens of the names with each first token, padded.
        counts: By split, (F,), the number of names with each first token.
    """

    first_ids: NDArray[np.int64]
    second_ids: dict[str, NDArray[np.int64]]
    counts: dict[str, NDArray[np.int64]]

    def __len__(self) -> int:
        return int(self.first_ids.shape[1])

    def cast(self, rng: np.random.Generator, size: int, characters: int, split: str) -> tuple[Integers, Integers]:
        """Draw names for stories: return first tokens (2, B, C), different within a story, and second tokens (B, C)."""
        first_BC = rng.random((size, len(self))).argsort(axis=1)[:, :characters]
        choice_BC = (rng.random(first_BC.shape) * self.counts[split][first_BC]).astype(np.int64)
        return self.first_ids[:, first_BC], self.second_ids[split][first_BC, choice_BC]


def choose_names(
    tokenizer: Tokenizer, counts: Integers, together: NDArray[np.bool_], *, firsts: int, seconds: int, unseen: float
) -> Pool:
    """Choose the names of validation and test.

    Args:
        tokenizer: The tokenizer of the corpus.
        counts: (V,) the number of occurrences of each token in training.
        together: (F, S) the `find_neighbours` of training.
        firsts: Largest number of first tokens.
        seconds: Largest number of second tokens.
        unseen: Share of second tokens that never occur in training.

    Raises:
        TaskError: If the vocabulary has too few such tokens.
    """
    affixes = find_affixes(tokenizer.get_vocab())
    rng = stream("stories/corpus/names", seed=0, index=0)
    stems, tails = rng.permutation(len(affixes.stems)), rng.permutation(len(affixes.tails))
    never = counts[affixes.tail_ids[tails]] == 0
    needed = int(np.ceil(unseen * seconds)) if unseen else 0
    allowed = f"at most {never.sum() / seconds:.3g} ({never.sum()} tokens that can end a name never occur in training)"
    require(never.sum() >= needed, "stories.unseen", unseen, allowed)
    tails = np.concatenate([tails[never][:needed], tails[~never][: seconds - needed]])
    fits = _are_two_tokens(tokenizer, affixes, stems, tails) & ~together[np.ix_(stems, tails)]
    usable = np.flatnonzero(fits.sum(axis=1) >= 2)[:firsts]
    if len(usable) < 2:
        size = tokenizer.get_vocab_size()
        raise TaskError(f"stories.vocabulary must be larger, not {size}: it has too few names of two tokens")
    order = rng.random(fits.shape)  # of the names of each stem, which are in validation and test in turn
    second_ids, number_of_names = {}, {}
    for number, split in enumerate(("validation", "test")):
        ranked = [np.flatnonzero(fits[stem])[order[stem][fits[stem]].argsort()][number::2] for stem in usable]
        number_of_names[split] = np.array([len(tails_of_stem) for tails_of_stem in ranked])
        padded = np.array([np.resize(tails_of_stem, number_of_names[split].max()) for tails_of_stem in ranked])
        second_ids[split] = affixes.tail_ids[tails[padded]]
    return Pool(first_ids=affixes.stem_ids[:, stems[usable]], second_ids=second_ids, counts=number_of_names)


def _are_two_tokens(tokenizer: Tokenizer, affixes: Affixes, stems: Integers, tails: Integers) -> NDArray[np.bool_]:
    """Return whether each stem and tail together are encoded as these two tokens, with and without a space before, (F, S)."""
    fits = np.ones((len(stems), len(tails)), dtype=bool)
    for before, ids in zip((" ", ""), affixes.stem_ids, strict=True):
        words = [before + affixes.stems[stem] + affixes.tails[tail] for stem in stems for tail in tails]
        wanted = [[ids[stem], affixes.tail_ids[tail]] for stem in stems for tail in tails]
        same = [encoding.ids == pair for encoding, pair in zip(tokenizer.encode_batch_fast(words), wanted, strict=True)]
        fits &= np.array(same, dtype=bool).reshape(fits.shape)
    return fits
