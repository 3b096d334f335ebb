"""Tokenise a corpus once for its content, vocabulary and list of names, and read it from the cache.

Shapes: N stories, K codes of all stories, B drawn stories, T positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.core.splits import SPLITS
from tasks.errors import TaskError
from tasks.stories.corpus import encoding
from tasks.stories.corpus.cache import load_or_make
from tasks.stories.corpus.encoding import Story
from tasks.stories.corpus.names import find_affixes, find_neighbours
from tasks.stories.corpus.text import hash_file, read_names, read_stories, read_text, split_of_story
from tasks.stories.roles import LAST

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FORMAT = 2
"""Version of the cached files."""
TOKENIZER = "tokenizer.json"
_COLUMNS = {"codes": np.int32, "roles": np.int8, "starts": np.int64, "characters": np.int32}
"""The cached arrays of a split, in the order of `SplitStories`, with their dtypes."""


@dataclass(frozen=True, eq=False)
class SplitStories:
    """The stories of a split, concatenated.

    Attributes:
        codes: (K,) token ids, in validation and test with placeholders for names.
        roles: (K,) the role of each code.
        starts: (N + 1,) the index of the first code of each story, and K.
        characters: (N,) the number of names in each story.
    """

    codes: NDArray[np.int32]
    roles: NDArray[np.int8]
    starts: NDArray[np.int64]
    characters: NDArray[np.int32]

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) int64, the number of tokens of each story, with its end token."""
        return np.diff(self.starts) + 1

    def pad(self, which_B: NDArray[np.int64], length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return codes and roles of some stories, (B, length) each, with end tokens and padding."""
        position_T, last_B1 = np.arange(length), self.lengths[which_B][:, None] - 1
        index_BT = np.minimum(self.starts[which_B][:, None] + position_T, len(self.codes) - 1)
        codes_BT = np.where(position_T < last_B1, self.codes[index_BT], encoding.PAD)
        roles_BT = np.where(position_T < last_B1, self.roles[index_BT], 0)
        end_BT = position_T == last_B1
        return np.where(end_BT, encoding.END, codes_BT).astype(np.int64), np.where(end_BT, LAST, roles_BT).astype(np.int64)


class Corpus:
    """A tokenised corpus.

    Attributes:
        folder: Its folder in the cache.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def tokenizer_json(self) -> str:
        """The tokenizer as JSON, which `tokenizers` and `transformers` read."""
        return (self.folder / TOKENIZER).read_text(encoding="utf-8")

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer."""
        return encoding.load_tokenizer(self.tokenizer_json)

    @cached_property
    def splits(self) -> dict[str, SplitStories]:
        """The stories of each split, memory-mapped."""
        return {split: SplitStories(*(self._array(f"{split}_{name}") for name in _COLUMNS)) for split in SPLITS}

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """(V,) int64, the number of occurrences of each token in training."""
        counts: NDArray[np.int64] = self._array("counts")
        return counts

    @cached_property
    def together(self) -> NDArray[np.bool_]:
        """(F, S) bool, the `find_neighbours` of training."""
        together: NDArray[np.bool_] = self._array("together")
        return together

    def _array(self, name: str) -> Any:
        """Map a cached array into memory."""
        return np.load(self.folder / f"{name}.npy", mmap_mode="r")


def open_corpus(path: str, content: str, names_file: str | None, vocabulary: int) -> Corpus:
    """Return the tokenised corpus of a file, from the cache if possible.

    Args:
        path: The text file.
        content: Its `hash_file`; the file is read only if the cache has no entry for it.
        names_file: A file with the names to look for; None for the list of this package.
        vocabulary: Number of tokens of the BPE.

    Raises:
        TaskError: If the text, the list or the vocabulary cannot be used.
    """
    names = read_names(names_file)
    made_from: dict[str, object] = {"format": FORMAT, "corpus": content, "names": names, "vocabulary": vocabulary}
    made_from["tokenizers"] = version("tokenizers")
    return Corpus(load_or_make(made_from, lambda folder: _prepare(folder, path, content, names, vocabulary)))


class Mix(NamedTuple):
    """The text to mix with the stories, memory-mapped.

    Attributes:
        codes: (K,) ids of the corpus's tokenizer.
        counts: As `Corpus.counts`, of this text.
        together: As `Corpus.together`, of this text.
    """

    codes: NDArray[np.int32]
    counts: NDArray[np.int64]
    together: NDArray[np.bool_]


def open_mix(path: str, content: str, corpus: Corpus) -> Mix:
    """Return the text to mix with the stories, from the cache if possible.

    Args:
        path: The text file.
        content: Its `hash_file`.
        corpus: The corpus of the stories.

    Raises:
        TaskError: As `read_text`.
    """

    def make(folder: Path) -> None:
        text = read_text("stories.mix", path)
        _reject_changed("stories.mix", path, content)
        codes = encoding.encode_text(corpus.tokenizer, text).astype(np.int32)
        np.save(folder / "codes.npy", codes)
        _write_occurrences(folder, corpus.tokenizer, codes)

    made_from = {"format": FORMAT, "mix": content, "corpus": corpus.folder.name}
    folder = load_or_make(made_from, make)
    return Mix(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in Mix._fields))


def _prepare(folder: Path, path: str, content: str, names: tuple[str, ...], vocabulary: int) -> None:
    """Train the tokenizer on the training split, and write the arrays of every split into a folder."""
    stories = read_stories(path)
    _reject_changed("stories.corpus", path, content)
    pattern = encoding.name_pattern(names)
    if not any(pattern.search(story) for story in stories):
        raise TaskError(f"stories.corpus: {path}: no name of the list occurs in it; set names_file")
    texts: dict[str, list[str]] = {split: [] for split in SPLITS}
    for story in stories:
        texts[split_of_story(story)].append(story)
    for split, own in texts.items():
        if not own:
            raise TaskError(f"stories.corpus: {path}: {len(stories)} stories are too few; none of them is in {split}")
    tokenizer = encoding.train_tokenizer(texts["train"], vocabulary)
    if tokenizer.get_vocab_size() < vocabulary:
        most = tokenizer.get_vocab_size()
        raise TaskError(f"stories.vocabulary must be at most {most}, the largest that this corpus yields, not {vocabulary}")
    (folder / TOKENIZER).write_text(tokenizer.to_str(), encoding="utf-8")
    for split, own in texts.items():
        _write(folder, split, encoding.encode_stories(tokenizer, own, pattern, placeholders=split != "train"))
    _write_occurrences(folder, tokenizer, np.load(folder / "train_codes.npy", mmap_mode="r"))


def _write_occurrences(folder: Path, tokenizer: Tokenizer, codes: NDArray[np.int32]) -> None:
    """Write into a folder how often each token occurs among the codes of training, and which tails follow each stem."""
    vocabulary = tokenizer.get_vocab()
    np.save(folder / "counts.npy", np.bincount(codes, minlength=len(vocabulary)))
    np.save(folder / "together.npy", find_neighbours(codes, find_affixes(vocabulary), len(vocabulary)))


def _write(folder: Path, split: str, stories: Iterable[Story]) -> None:
    """Write the arrays of a split into a folder."""
    codes, roles, lengths, characters = [], [], [0], []
    for story in stories:
        codes.append(np.array(story.codes, dtype=np.int32))
        roles.append(np.array(story.roles, dtype=np.int8))
        lengths.append(len(story.codes))
        characters.append(story.characters)
    columns: tuple[NDArray[Any], ...] = np.concatenate(codes), np.concatenate(roles), np.cumsum(lengths), np.array(characters)
    for (name, dtype), column in zip(_COLUMNS.items(), columns, strict=True):
        np.save(folder / f"{split}_{name}.npy", column.astype(dtype))


def _reject_changed(setting: str, path: str, content: str) -> None:
    """Reject a file whose content is no longer the given one."""
    if hash_file(setting, path) != content:
        raise TaskError(f"{setting}: {path}: has changed since the task was made")
