"""A byte-level BPE trained on a text, and texts as its tokens, the names in them found by whole words.

A name behind a blank carries the blank in its first token, one at the beginning of a line or behind a quotation mark does not.
These are different tokens, so either way of writing a name counts as new when it first comes in a story.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.stories.roles import FIRST_AGAIN, FIRST_NEW, SECOND_AGAIN, SECOND_NEW, WORD

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

PAD, END = 0, 1
"""Token ids of padding and of a story's end."""
SPECIAL = ("<|pad|>", "<|endofstory|>")
SMALLEST = len(SPECIAL) + 256
"""Tokens of a vocabulary without a single merge."""
_AT_ONCE = 4096


def train(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """A byte-level BPE of at most `vocabulary` tokens: special ones, 256 bytes, then merges. The same texts give the same."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return load(tokenizer.to_str())


def load(text: str) -> Tokenizer:
    """The tokenizer of a `tokenizer.json`. A special token's name in a text is read as the letters that it is."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(text)
    tokenizer.encode_special_tokens = True
    return tokenizer


@dataclass(frozen=True, kw_only=True)
class Story:
    """A story in tokens.

    Attributes:
        codes: Token ids; where names were left open, `open_code` in their places.
        roles: Of each code, by their numbers in the task `stories`.
        characters: How many names it has.
    """

    codes: list[int]
    roles: list[int]
    characters: int


def open_code(vocabulary: int, character: int, bare: bool, second: bool) -> int:
    """The code of a name token that is left open, above all token ids.

    Args:
        vocabulary: Token ids there are.
        character: Which of the story's characters, in order of appearance.
        bare: Whether there is no blank before the name.
        second: Whether it is the second of the name's two tokens.
    """
    return vocabulary + 4 * character + 2 * bare + second


def name_pattern(names: Sequence[str]) -> re.Pattern[str]:
    """Finds names that are whole words."""
    return re.compile(rf"(?<!\w)(?:{'|'.join(sorted(names, key=len, reverse=True))})(?!\w)")


def encode_stories(
    tokenizer: Tokenizer, stories: Sequence[str], names: re.Pattern[str], *, leave_open: bool
) -> Iterator[Story]:
    """Stories in tokens, with roles.

    Args:
        tokenizer: Of `train`.
        stories: Texts.
        names: Finds the characters' names.
        leave_open: Whether each name gives way to two codes that stand for whatever name will be put there.
    """
    vocabulary = tokenizer.get_vocab_size() if leave_open else None
    for begin in range(0, len(stories), _AT_ONCE):
        block = stories[begin : begin + _AT_ONCE]
        for text, encoding in zip(block, tokenizer.encode_batch(list(block)), strict=True):
            yield _story(text, encoding, names, vocabulary)


def _story(text: str, encoding: Encoding, names: re.Pattern[str], vocabulary: int | None) -> Story:
    """One story; names stay as they are where there is no `vocabulary`."""
    codes: list[int] = []
    roles: list[int] = []
    characters: dict[str, int] = {}
    met: set[tuple[str, bool]] = set()
    ids, done = encoding.ids, 0
    for match in names.finditer(text):
        bare = text[max(match.start() - 1, 0) : match.start()] != " "
        first, behind = _tokens_of(encoding, match.start() - (not bare), match.end())
        if first == behind:
            continue
        codes += ids[done:first]
        roles += [WORD] * (first - done)
        name, written = match.group(), (match.group(), bare)
        told = [FIRST_AGAIN, SECOND_AGAIN] if written in met else [FIRST_NEW, SECOND_NEW]
        met.add(written)
        character = characters.setdefault(name, len(characters))
        if vocabulary is None:
            codes += ids[first:behind]
            roles += (told + [WORD] * (behind - first))[: behind - first]
        else:
            codes += [open_code(vocabulary, character, bare, second) for second in (False, True)]
            roles += told
        done = behind
    return Story(codes=codes + ids[done:], roles=roles + [WORD] * (len(ids) - done), characters=len(characters))


def _tokens_of(encoding: Encoding, begin: int, end: int) -> tuple[int, int]:
    """Which tokens (from, to) are these letters of the text and nothing else; (0, 0) if there are none such.

    The BPE does not merge across the border of a word, so there are: but for words within words, as in `'sam`, read as 's am.
    """
    first, last = encoding.char_to_token(begin), encoding.char_to_token(end - 1)
    if first is None or last is None:
        return 0, 0
    starts, ends = encoding.token_to_chars(first), encoding.token_to_chars(last)
    fits = starts is not None and ends is not None and starts[0] == begin and ends[1] == end
    return (first, last + 1) if fits else (0, 0)


def encode_text(tokenizer: Tokenizer, text: str) -> NDArray[np.int64]:
    """A long text in tokens, some lines at a time."""
    lines = text.splitlines(keepends=True)
    blocks = ["".join(lines[begin : begin + _AT_ONCE]) for begin in range(0, len(lines), _AT_ONCE)]
    ids = (encoding.ids for encoding in tokenizer.encode_batch_fast(blocks))
    return np.fromiter(itertools.chain.from_iterable(ids), dtype=np.int64)
