"""Train a byte-level BPE on a text, and encode stories with it; names are found as whole words.

The first token of a name includes a space before the name; at the start of a line or after a quotation mark there is none.
These are different tokens, so that each form of a name is new when it first occurs in a story.
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
"""Token ids of padding and of the end of a story."""
SPECIAL = ("<|pad|>", "<|endofstory|>")
SMALLEST = len(SPECIAL) + 256
"""Size of a vocabulary without merges."""
_BLOCK = 4096
"""Number of stories, or of lines, that are encoded together."""


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Train a byte-level BPE of at most `vocabulary` tokens, deterministically: special tokens, 256 bytes, then merges."""
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
    return load_tokenizer(tokenizer.to_str())


def load_tokenizer(text: str) -> Tokenizer:
    """Load a tokenizer from its JSON; a text that spells a special token is encoded as plain characters."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(text)
    tokenizer.encode_special_tokens = True
    return tokenizer


@dataclass(frozen=True, kw_only=True)
class Story:
    """An encoded story.

    Attributes:
        codes: Token ids, and perhaps codes of `placeholder` in place of names.
        roles: The role of each code, an index into the roles of the task `stories`.
        characters: Number of different names.
    """

    codes: list[int]
    roles: list[int]
    characters: int


def placeholder(vocabulary: int, character: int, bare: bool, second: bool) -> int:
    """Return the code of a placeholder for a name token, which is above all token ids.

    Args:
        vocabulary: Number of token ids.
        character: Number of the character in order of appearance, from 0.
        bare: Whether no space precedes the name.
        second: Whether this is the second of the name's two tokens.
    """
    return vocabulary + 4 * character + 2 * bare + second


def name_pattern(names: Sequence[str]) -> re.Pattern[str]:
    """Compile a pattern that finds names as whole words."""
    return re.compile(rf"(?<!\w)(?:{'|'.join(sorted(names, key=len, reverse=True))})(?!\w)")


def encode_stories(
    tokenizer: Tokenizer, stories: Sequence[str], names: re.Pattern[str], *, placeholders: bool
) -> Iterator[Story]:
    """Encode stories, and find the roles of their tokens.

    Args:
        tokenizer: From `train_tokenizer`.
        stories: The texts of the stories.
        names: Finds the names of characters.
        placeholders: Whether to replace each name by two placeholders.
    """
    vocabulary = tokenizer.get_vocab_size() if placeholders else None
    for begin in range(0, len(stories), _BLOCK):
        block = stories[begin : begin + _BLOCK]
        for text, encoding in zip(block, tokenizer.encode_batch(list(block)), strict=True):
            yield _encode_story(text, encoding, names, vocabulary)


def _encode_story(text: str, encoding: Encoding, names: re.Pattern[str], vocabulary: int | None) -> Story:
    """Find the names and roles of an encoded story; with a `vocabulary`, replace names by placeholders."""
    codes: list[int] = []
    roles: list[int] = []
    characters: dict[str, int] = {}
    seen: set[tuple[str, bool]] = set()
    ids, done = encoding.ids, 0
    for match in names.finditer(text):
        bare = text[max(match.start() - 1, 0) : match.start()] != " "
        first, after = _find_tokens(encoding, match.start() - (not bare), match.end())
        if first == after:
            continue
        codes += ids[done:first]
        roles += [WORD] * (first - done)
        name = match.group()
        name_roles = [FIRST_AGAIN, SECOND_AGAIN] if (name, bare) in seen else [FIRST_NEW, SECOND_NEW]
        seen.add((name, bare))
        character = characters.setdefault(name, len(characters))
        if vocabulary is None:
            codes += ids[first:after]
            roles += (name_roles + [WORD] * (after - first))[: after - first]
        else:
            codes += [placeholder(vocabulary, character, bare, second) for second in (False, True)]
            roles += name_roles
        done = after
    return Story(codes=codes + ids[done:], roles=roles + [WORD] * (len(ids) - done), characters=len(characters))


def _find_tokens(encoding: Encoding, begin: int, end: int) -> tuple[int, int]:
    """Find the range of tokens that spell exactly the characters from `begin` to `end`; (0, 0) if there is none.

    The BPE does not merge across word boundaries, so there is one unless the pre-tokenizer divides a word, `'sam` into 's am.
    """
    first, last = encoding.char_to_token(begin), encoding.char_to_token(end - 1)
    if first is None or last is None:
        return 0, 0
    starts, ends = encoding.token_to_chars(first), encoding.token_to_chars(last)
    fits = starts is not None and ends is not None and starts[0] == begin and ends[1] == end
    return (first, last + 1) if fits else (0, 0)


def encode_text(tokenizer: Tokenizer, text: str) -> NDArray[np.int64]:
    """Encode a long text in blocks of lines; return the ids, (tokens,)."""
    lines = text.splitlines(keepends=True)
    blocks = ["".join(lines[begin : begin + _BLOCK]) for begin in range(0, len(lines), _BLOCK)]
    ids = (encoding.ids for encoding in tokenizer.encode_batch_fast(blocks))
    return np.fromiter(itertools.chain.from_iterable(ids), dtype=np.int64)
