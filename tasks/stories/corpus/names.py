"""Names of two tokens for the characters of a text: random ones that no story of training has.

A name is a stem and a tail. The tokenizer writes it as exactly these two tokens, behind a blank and without one, and the second
is the same either way. Names of validation and test differ.
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

_BLANK = "Ġ"
"""How a byte-level BPE writes the blank before a word."""
_AT_ONCE = 1 << 20

Integers = NDArray[np.integer]


@dataclass(frozen=True, eq=False, kw_only=True)
class Affixes:
    """Tokens that names can be made of, F stems and S tails, in a fixed order.

    Attributes:
        stems: With a capital letter.
        tails: Small letters.
        stem_ids: (2, F): the token with the blank before it, and without.
        tail_ids: (S,).
    """

    stems: list[str]
    tails: list[str]
    stem_ids: NDArray[np.int64]
    tail_ids: NDArray[np.int64]


def affixes(vocabulary: Mapping[str, int]) -> Affixes:
    """The stems and tails of a tokenizer's vocabulary."""
    plain = sorted(token for token in vocabulary if token.isascii() and token.isalpha())
    stems = [token for token in plain if token.istitle() and _BLANK + token in vocabulary]
    tails = [token for token in plain if token.islower() and len(token) > 1]
    ids = [[vocabulary[before + stem] for stem in stems] for before in (_BLANK, "")]
    return Affixes(
        stems=stems,
        tails=tails,
        stem_ids=np.array(ids, dtype=np.int64),
        tail_ids=np.array([vocabulary[tail] for tail in tails], dtype=np.int64),
    )


def neighbours(codes: Integers, parts: Affixes, vocabulary: int) -> NDArray[np.bool_]:
    """Which stems (F) and tails (S) ever follow each other in a text, with a blank before or without."""
    stem_of, tail_of = np.full(vocabulary, -1), np.full(vocabulary, -1)
    stem_of[parts.stem_ids] = np.arange(len(parts.stems))
    tail_of[parts.tail_ids] = np.arange(len(parts.tails))
    found = np.zeros((len(parts.stems), len(parts.tails)), dtype=bool)
    for begin in range(0, len(codes) - 1, _AT_ONCE):
        block = codes[begin : begin + _AT_ONCE + 1]
        stem, tail = stem_of[block[:-1]], tail_of[block[1:]]
        both = (stem >= 0) & (tail >= 0)
        found[stem[both], tail[both]] = True
    return found


@dataclass(frozen=True, eq=False, kw_only=True)
class Pool:
    """The names that stories are tested with, F first tokens and at most M names of each.

    Attributes:
        first_ids: (2, F): the token with the blank before it, and without.
        second_ids: By split (F, M), the second tokens that make a name of this split with each first, padded.
        counts: By split (F,), how many.
    """

    first_ids: NDArray[np.int64]
    second_ids: dict[str, NDArray[np.int64]]
    counts: dict[str, NDArray[np.int64]]

    def __len__(self) -> int:
        return int(self.first_ids.shape[1])

    def cast(self, rng: np.random.Generator, size: int, characters: int, split: str) -> tuple[Integers, Integers]:
        """Names for stories: firsts (2, B, C) and seconds (B, C), the first tokens of a story all different."""
        first_BC = rng.random((size, len(self))).argsort(axis=1)[:, :characters]
        place_BC = (rng.random(first_BC.shape) * self.counts[split][first_BC]).astype(np.int64)
        return self.first_ids[:, first_BC], self.second_ids[split][first_BC, place_BC]


def pool(
    tokenizer: Tokenizer, counts: Integers, together: NDArray[np.bool_], *, firsts: int, seconds: int, unseen: float
) -> Pool:
    """Choose the names.

    Args:
        tokenizer: Of the text.
        counts: (V,) how often each token occurs in training.
        together: `neighbours` in training.
        firsts: Most first tokens.
        seconds: Most second tokens.
        unseen: Share of these that never occur in training.

    Raises:
        TaskError: If the vocabulary has too few such tokens.
    """
    parts = affixes(tokenizer.get_vocab())
    rng = stream("stories/corpus/names", seed=0, index=0)
    stems, tails = rng.permutation(len(parts.stems)), rng.permutation(len(parts.tails))
    never = counts[parts.tail_ids[tails]] == 0
    new = int(np.ceil(unseen * seconds)) if unseen else 0
    allowed = f"at most {never.sum() / seconds:.3g} ({never.sum()} tokens that can end a name never occur in training)"
    require(never.sum() >= new, "stories.unseen", unseen, allowed)
    tails = np.concatenate([tails[never][:new], tails[~never][: seconds - new]])
    fits = _are_two_tokens(tokenizer, parts, stems, tails) & ~together[np.ix_(stems, tails)]
    usable = np.flatnonzero(fits.sum(axis=1) >= 2)[:firsts]
    if len(usable) < 2:
        raise TaskError(f"stories.vocabulary: too few names of two tokens among {tokenizer.get_vocab_size()}; take more")
    order = rng.random(fits.shape)  # of the names of each stem, in turns for validation and test
    second_ids, chosen = {}, {}
    for number, split in enumerate(("validation", "test")):
        ranked = [np.flatnonzero(fits[stem])[order[stem][fits[stem]].argsort()][number::2] for stem in usable]
        chosen[split] = np.array([len(places) for places in ranked])
        padded = np.array([np.resize(places, chosen[split].max()) for places in ranked])
        second_ids[split] = parts.tail_ids[tails[padded]]
    return Pool(first_ids=parts.stem_ids[:, stems[usable]], second_ids=second_ids, counts=chosen)


def _are_two_tokens(tokenizer: Tokenizer, parts: Affixes, stems: Integers, tails: Integers) -> NDArray[np.bool_]:
    """(F, S): whether stem + tail is written as these two tokens, behind a blank and without."""
    fits = np.ones((len(stems), len(tails)), dtype=bool)
    for before, ids in zip((" ", ""), parts.stem_ids, strict=True):
        words = [before + parts.stems[stem] + parts.tails[tail] for stem in stems for tail in tails]
        wanted = [[ids[stem], parts.tail_ids[tail]] for stem in stems for tail in tails]
        same = [encoding.ids == pair for encoding, pair in zip(tokenizer.encode_batch_fast(words), wanted, strict=True)]
        fits &= np.array(same, dtype=bool).reshape(fits.shape)
    return fits
