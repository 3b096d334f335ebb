"""Children's stories in which characters have names of two tokens (Gloeckle et al. 2024, section 4.1).

A story with its name tokens marked:

    one morning [Anna Baker] met [Ben Carter] in the park . ... [Ben Carter] ran to [Anna Baker] . <end>
                 new  new         new new                         again         again

The second token of a repeated name can be copied, which is pure induction: the paper's metric. The names of validation and test
are pairs of tokens that never occur together in training, and some of the tokens never occur there.

Stories come from a grammar, or, with `corpus`, from a real text: see `tasks.stories.corpus`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks.core.base import Batch, Task
from tasks.core.insight import Contrast
from tasks.core.strata import Stratum
from tasks.errors import TaskError
from tasks.settings import require
from tasks.stories import grammar
from tasks.stories.corpus import SMALLEST, CorpusStories, Source, hash_file, hash_names, open_stories
from tasks.stories.names import Names, rename, second_names
from tasks.stories.roles import FIRST_AGAIN, LABELS, LAST, ROLES, SECOND_AGAIN, roles_of_codes
from tasks.stories.tables import Tables, assign_parts, build_tables, pack
from tasks.stories.written import roles_of

MOST_CHARACTERS = 4
_OF_GRAMMAR = ("characters", "names", "fresh")
"""Settings without effect on stories of a corpus."""
_OF_CORPUS = ("names_file", "vocabulary", "mix", "mix_share")
"""Settings without effect on stories of the grammar."""
_MOST_TOKENS = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Stories(Task):
    """Stories of 2 to 4 characters, whose names are a first and a second token and occur 3 to 8 times; or those of a corpus."""

    name: ClassVar[str] = "stories"
    summary: ClassVar[str] = "tell children's stories whose characters have names of two tokens"
    source: ClassVar[str] = "Gloeckle et al. 2024, section 4.1 and appendix J"
    roles = ROLES
    role_labels = LABELS
    headline: ClassVar[str] = "accuracy/second_again"
    splits_itself: ClassVar[bool] = True

    length: int = 128
    """T, tokens in a sequence; shorter stories are padded."""
    characters: tuple[int, int] = (2, 4)
    """Fewest and most characters of a story; uniform between them."""
    first_names: int = 32
    """Number of first name tokens."""
    second_names: int = 32
    """Number of second name tokens."""
    names: int = 500
    """Number of fixed pairs that are the names of training."""
    fresh: float = 0.0
    """Share of training stories with random other pairs as names: data that forces induction (appendix J)."""
    unseen: float = 0.1
    """Share of name tokens (with a corpus, of second ones) that never occur in training, which keeps accuracy below 1."""
    corpus: str | None = None
    """A text file with stories, separated by `<|endoftext|>` or blank lines, in place of the grammar."""
    names_file: str | None = None
    """A text file with the names to look for in the corpus; null for a list of common English names."""
    vocabulary: int = 2048
    """Number of tokens of the byte-level BPE that is trained on the training stories of the corpus."""
    mix: str | None = None
    """A text file, such as books, whose windows are a share of the training sequences (appendix J)."""
    mix_share: float = 0.9
    """Share of training sequences from `mix`, if there is one."""

    def check(self) -> None:
        idle, form = (_OF_CORPUS, "without a corpus") if self.corpus is None else (_OF_GRAMMAR, "with a corpus")
        if self.corpus is not None and self.mix is None:
            idle, form = (*idle, "mix_share"), "with a corpus and without a mix"
        for setting in fields(self):
            value = getattr(self, setting.name)
            allowed = f"{setting.default!r}, its default, {form}, where it has no effect"
            require(setting.name not in idle or value == setting.default, f"stories.{setting.name}", value, allowed)
        for name, size in (("first_names", self.first_names), ("second_names", self.second_names)):
            require(8 <= size <= 4096, f"stories.{name}", size, "between 8 and 4096")
        for name, share, most in (("fresh", self.fresh, 1.0), ("unseen", self.unseen, 0.5), ("mix_share", self.mix_share, 1.0)):
            require(0 <= share <= most, f"stories.{name}", share, f"between 0 and {most:g}")
        if self.corpus is None:
            self._check_grammar()
            return
        possible = SMALLEST <= self.vocabulary <= _MOST_TOKENS
        require(possible, "stories.vocabulary", self.vocabulary, f"between {SMALLEST} and {_MOST_TOKENS}")
        require(self.length >= 2, "stories.length", self.length, "at least 2")

    def check_files(self) -> None:
        """Prepare the corpus, so that an unusable file is rejected before training."""
        if self.corpus is not None:
            _ = self._text

    def _check_grammar(self) -> None:
        """Check the settings of the grammar."""
        low, high = self.characters
        allowed = f"[low, high] with 2 <= low <= high <= {MOST_CHARACTERS}"
        require(2 <= low <= high <= MOST_CHARACTERS, "stories.characters", self.characters, allowed)
        self._names.check(high, different=MOST_CHARACTERS if self.fresh < 1 else 0)
        longest = self._tables.longest
        require(self.length >= longest, "stories.length", self.length, f"at least {longest}, the longest story")

    @property
    def vocab_size(self) -> int:
        return len(self._tables.words) if self.corpus is None else self.vocabulary

    @property
    def classes(self) -> NDArray[np.int64] | None:
        """Classes: other words, first names, second names, pronouns, the words of each filler slot; None with a corpus."""
        if self.corpus is not None:
            return None
        tables = self._tables
        classes_V = np.zeros(self.vocab_size, dtype=np.int64)
        classes_V[tables.first_token : tables.second_token] = 1
        classes_V[tables.second_token :] = 2
        for number, tokens in enumerate([tables.pronouns, *tables.fillers], start=3):
            classes_V[tokens] = number
        return classes_V

    def word(self, token: int) -> str:
        """Return a word of the grammar, or a token of a corpus as byte-level BPEs write it, with Ġ for a space."""
        return self._tables.words[token] if self.corpus is None else str(self._text.corpus.tokenizer.id_to_token(token))

    def encode(self, words: str) -> NDArray[np.int64]:
        """Return the ids of words of the grammar, or of a text as the tokenizer of a corpus reads it, blanks included."""
        if self.corpus is None:
            return super().encode(words)
        return np.array(self._text.corpus.tokenizer.encode(words).ids, dtype=np.int64)

    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        if self.corpus is not None:
            return self.rows(*self._text.draw(rng, size, split))
        tables = self._tables
        cast_B4, n_B = self._cast(rng, size, split)
        parts_B16 = assign_parts(rng, n_B)
        plot_B1 = rng.integers(len(tables.templates), size=(size, 1))
        telling_B8 = rng.integers(2, size=(size, len(grammar.PARTS)))
        beat_8 = np.arange(len(grammar.PARTS))
        codes_B8L = tables.templates[plot_B1, beat_8, telling_B8]
        who_B8L = np.take_along_axis(parts_B16, tables.speaker[plot_B1, beat_8, telling_B8].reshape(size, -1), axis=1)
        name_BC = np.take_along_axis(cast_B4, who_B8L, axis=1)  # of the character at each code
        filler_BS = rng.random((size, len(tables.fillers)))
        words_BS = tables.choose_fillers(filler_BS)
        codes_BC = codes_B8L.reshape(size, -1)
        tokens_BC = tables.resolve(codes_BC, *np.divmod(name_BC, self.second_names), words_BS)
        roles_BC = roles_of_codes(codes_BC, who_B8L.reshape(size, -1), tables.first_code, tables.pad_code)
        return self.rows(*pack(tables, tokens_BC, roles_BC, self.length))

    def floor(self, role: str) -> float | None:
        """Return 0 for `second_again` and `end`, and for `first_again` the entropy of who acts, per repeated mention.

        Two coins decide who acts. One decides which of the first two characters is in need (ln 2), the other which of the
        others acts, if both can: always with four characters, in half of the stories with three, never with two. A story has 16
        mentions, of which one for each character is its first. `word`, `first_new` and `second_new` have no closed form: they
        mix tellings with the same beginning, and first tokens do not repeat. No role of a corpus has a closed form.
        """
        number = self.role(role)
        if self.corpus is not None:
            return None
        if number in (SECOND_AGAIN, LAST):
            return 0.0
        if number != FIRST_AGAIN:
            return None
        counts = np.arange(self.characters[0], self.characters[1] + 1)
        coins = 1 + np.array([{2: 0.0, 3: 0.5, 4: 1.0}[int(n)] for n in counts])
        return float(np.log(2) * coins.sum() / (2 * len(grammar.PARTS) - counts).sum())

    def strata(self) -> tuple[Stratum, ...]:
        """Return the numbers of characters, which are equally likely; a corpus is one stratum."""
        low, high = self.characters
        if self.corpus is not None:
            return super().strata()
        return tuple(Stratum(name=f"{n} characters", chance=1 / (high + 1 - low)) for n in range(low, high + 1))

    def stratum(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.corpus is not None:
            return super().stratum(tokens)
        first = self._tables.first_token
        named_BT = np.sort(np.where((tokens >= first) & (tokens < first + self.first_names), tokens, -1), axis=1)
        characters_B: NDArray[np.int64] = (named_BT[:, 1:] != named_BT[:, :-1]).sum(axis=1)  # -1, for words, always occurs
        return characters_B - self.characters[0]

    def chance(self, role: str) -> float | None:
        """Return 1 / the number of name tokens; None for words, whose best guess depends on the grammar, and for a corpus."""
        if self.corpus is not None:
            return None
        if role.startswith("first"):
            return 1 / self.first_names
        return 1 / self.second_names if role.startswith("second") else None

    def pairs(self, split: str) -> NDArray[np.int64]:
        """Return the names of a split, without fresh ones, in a keyed order; each is first x second_names + second."""
        return self._names.pairs(split)

    def contrast(self, batch: Batch) -> Contrast | None:
        """Change the second name of a character throughout, within its split; the answer is where the name comes again.

        Stories in which the first name has no other second name are left out. None for a corpus.
        """
        return None if self.corpus is not None else rename(batch.tokens, self._tables, self._names)

    def latents(self, batch: Batch) -> dict[str, NDArray[np.generic]]:
        """Return the `second name` that follows, at the first token of a repeated name."""
        return {} if self.corpus is not None else {"second name": second_names(batch.tokens, self._tables)}

    def _cast(self, rng: np.random.Generator, size: int, split: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Draw the names of four characters, (B, 4), with different first tokens, and the number of characters, (B,)."""
        main, other = self._names.pairs(split), self._names.other_pairs(split)
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
        raise TaskError(f"stories.names must be large enough for {MOST_CHARACTERS} different first names, not {self.names}")

    def roles_of(self, tokens: NDArray[np.int64]) -> NDArray[np.int64] | None:
        return roles_of(tokens, self._tables) if self.corpus is None else None

    # --- a corpus ------------------------------------------------------------------------------------------------

    def drawn_from(self) -> dict[str, Any]:
        """Leave out the settings without effect, and replace files by their content."""
        values = super().drawn_from()
        if self.corpus is None:
            return {name: value for name, value in values.items() if name not in (*_OF_CORPUS, "corpus")}
        source = self._source
        values |= {"corpus": source.corpus_content, "names_file": source.names_content, "mix": source.mix_content}
        return {name: value for name, value in values.items() if name not in _OF_GRAMMAR}

    def facts(self) -> dict[str, int]:
        """Count the stories of each split of a corpus, those in use, and those left out, by reason."""
        return {} if self.corpus is None else dict(self._text.facts)

    def artifacts(self) -> dict[str, str]:
        """Return the tokenizer of a corpus, and the settings and files that it is made from."""
        if self.corpus is None:
            return {}
        source = {"made from": self.drawn_from(), "stories": self.facts()}
        return {"tokenizer.json": self._text.corpus.tokenizer_json, "corpus.json": json.dumps(source, indent=1) + "\n"}

    @cached_property
    def _source(self) -> Source:
        """The files with hashes of their content at first use, which other processes receive with the task."""
        assert self.corpus is not None
        return Source(
            corpus=self.corpus,
            corpus_content=hash_file("stories.corpus", self.corpus),
            names_file=self.names_file,
            names_content=hash_names(self.names_file),
            mix=self.mix,
            mix_content=None if self.mix is None else hash_file("stories.mix", self.mix),
            mix_share=self.mix_share,
            vocabulary=self.vocabulary,
            length=self.length,
            first_names=self.first_names,
            second_names=self.second_names,
            unseen=self.unseen,
        )

    @property
    def _text(self) -> CorpusStories:
        return open_stories(self._source)

    # --- tables of the grammar -----------------------------------------------------------------------------------

    @property
    def _names(self) -> Names:
        return Names(**{field.name: getattr(self, field.name) for field in fields(Names)})

    @property
    def _tables(self) -> Tables:
        return build_tables(self.first_names, self.second_names)
