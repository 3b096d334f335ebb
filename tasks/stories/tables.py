"""The story grammar as integer arrays, so that a few look-ups make a batch of stories.

A template is a sequence of codes. A code is the id of a word, or a slot that a story fills: a token of a character's name, a
pronoun, or a filler. Shapes: B stories, C codes of a story, S filler slots.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tasks.stories import grammar
from tasks.stories.roles import LAST

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Tables:
    """The arrays of P plots, 8 beats, 2 tellings, L codes of the longest sentence, S filler slots.

    Attributes:
        words: Each token as people read it, by id; names come last.
        templates: (P, 8, 2, L) codes.
        speaker: (P, 8, 2, L) the index into the parts of a plot at codes of a character: 2 x beat for X, 2 x beat + 1 for Y; 0
            elsewhere.
        fillers: The ids of the words that can fill each slot.
        pronouns: (2, 2) ids of he and his, for girls (even first names) and for boys.
        first_code: The code of a name's first token; those of its second token, he, his and the fillers follow.
        pad_code: The code of unused positions of a sentence.
        pad_token: Id of padding.
        end_token: Id of the last token of a story.
        first_token: Id of the first of the first names.
        second_token: Id of the first of the second names, which follow the first names.
        longest: Number of tokens of the longest story.
    """

    words: list[str]
    templates: Integers
    speaker: Integers
    fillers: list[Integers]
    pronouns: Integers
    first_code: int
    pad_code: int
    pad_token: int
    end_token: int
    first_token: int
    second_token: int
    longest: int

    def choose_fillers(self, uniform_BS: NDArray[np.float64]) -> Integers:
        """Return the ids of the words that fill the slots of stories, (B, S), chosen by uniform numbers."""
        chosen = [words[(uniform_BS[:, slot] * len(words)).astype(np.int64)] for slot, words in enumerate(self.fillers)]
        return np.stack(chosen, axis=1)

    def resolve(self, codes_BC: Integers, first_BC: Integers, second_BC: Integers, fillers_BS: Integers) -> Integers:
        """Replace the codes of stories by tokens, (B, C).

        Args:
            codes_BC: Codes.
            first_BC: Number of the first name of the character at each code.
            second_BC: Number of the second name of this character.
            fillers_BS: Ids of the words that fill the slots.
        """
        slot_BC = codes_BC - self.first_code
        tokens_BC = np.where(slot_BC == 0, self.first_token + first_BC, codes_BC)
        tokens_BC = np.where(slot_BC == 1, self.second_token + second_BC, tokens_BC)
        for number in (0, 1):
            tokens_BC = np.where(slot_BC == 2 + number, self.pronouns[first_BC % 2, number], tokens_BC)
        filled_BC = np.take_along_axis(fillers_BS, np.clip(slot_BC - 4, 0, len(self.fillers) - 1), axis=1)
        return np.where((slot_BC >= 4) & (codes_BC != self.pad_code), filled_BC, tokens_BC)


@lru_cache(maxsize=8)
def build_tables(first_names: int, second_names: int) -> Tables:
    """Build the tables for name pools of these sizes."""
    sentences = [[[telling.split() for telling in beat] for beat in plot] for plot in grammar.PLOTS.values()]
    slots = {name: 4 + number for number, name in enumerate(grammar.FILLERS)}
    plain = {word for plot in sentences for beat in plot for telling in beat for word in telling if not _is_slot(word)}
    fillers = {name: words.split() for name, words in grammar.FILLERS.items()}
    vocabulary = plain.union(*fillers.values(), *grammar.PRONOUNS.values())
    firsts = grammar.name_pool(grammar.FIRST_NAMES, first_names, 0)
    seconds = grammar.name_pool(grammar.SECOND_NAMES, second_names, 5000)
    words = [grammar.PAD, grammar.END, *sorted(vocabulary), *firsts, *seconds]
    ids = {word: number for number, word in enumerate(words)}
    first_token = 2 + len(vocabulary)
    first_code = len(words)
    pad_code = first_code + 4 + len(slots)

    def encode(telling: list[str], beat: int) -> list[tuple[int, int]]:
        """Return the codes of a sentence, each with its speaker; a name has two codes."""
        pairs: list[tuple[int, int]] = []
        for word in telling:
            speaker = 2 * beat + (word[0] in "Yy")
            if word in ("X", "Y"):
                pairs += [(first_code, speaker), (first_code + 1, speaker)]
            elif word[:2] in ("x.", "y."):
                pairs.append((first_code + 2 + list(grammar.PRONOUNS).index(word[2:]), speaker))
            else:
                pairs.append((first_code + slots[word], 0) if word in slots else (ids[word], 0))
        return pairs

    encoded = [[[encode(telling, number) for telling in beat] for number, beat in enumerate(plot)] for plot in sentences]
    width = max(len(pairs) for plot in encoded for beat in plot for pairs in beat)
    padded = [[[pairs + [(pad_code, 0)] * (width - len(pairs)) for pairs in beat] for beat in plot] for plot in encoded]
    both = np.array(padded, dtype=np.int64)
    return Tables(
        words=words,
        templates=both[..., 0],
        speaker=both[..., 1],
        fillers=[np.array([ids[word] for word in fillers[name]]) for name in slots],
        pronouns=np.array([[ids[grammar.PRONOUNS[name][gender]] for name in grammar.PRONOUNS] for gender in (0, 1)]),
        first_code=first_code,
        pad_code=pad_code,
        pad_token=ids[grammar.PAD],
        end_token=ids[grammar.END],
        first_token=first_token,
        second_token=first_token + first_names,
        longest=1 + max(sum(max(len(pairs) for pairs in beat) for beat in plot) for plot in encoded),
    )


def _is_slot(word: str) -> bool:
    """Return whether a word of a template is a slot."""
    return word in ("X", "Y") or word in grammar.FILLERS or word[:2] in ("x.", "y.")


def assign_parts(rng: np.random.Generator, n_B: Integers) -> Integers:
    """Draw the character of each part, (B, 2 x beats): X and Y of each beat, as 0 to 3 modulo the number of characters."""
    size = len(n_B)
    needy = rng.integers(2, size=size)
    helper = 1 - needy
    finder = 2 + rng.integers(2, size=size)
    clash = finder % n_B == helper % n_B
    finder = np.where(clash, 5 - finder, finder)
    zero = np.zeros(size, dtype=np.int64)
    who = {"first": zero, "second": zero + 1, "third": zero + 2, "fourth": zero + 3}
    who |= {"needy": needy, "helper": helper, "finder": finder, "friend": 5 - finder}
    order = [who[part] for pair in grammar.PARTS for part in pair]
    return np.stack(order, axis=1) % n_B[:, None]


def pack(tables: Tables, tokens_BC: Integers, roles_BC: Integers, length: int) -> tuple[Integers, Integers]:
    """Remove the gaps between sentences, and end and pad stories: return tokens and roles, (B, length) each."""
    size = len(tokens_BC)
    row_R, column_R = np.nonzero(roles_BC)
    end_B = (roles_BC != 0).sum(axis=1)
    position_R = np.arange(len(row_R)) - np.repeat(np.cumsum(end_B) - end_B, end_B)
    tokens = np.full((size, length), tables.pad_token, dtype=np.int64)
    roles = np.zeros((size, length), dtype=np.int64)
    tokens[row_R, position_R], roles[row_R, position_R] = tokens_BC[row_R, column_R], roles_BC[row_R, column_R]
    tokens[np.arange(size), end_B], roles[np.arange(size), end_B] = tables.end_token, LAST
    return tokens, roles
