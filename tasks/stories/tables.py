"""The story grammar as integer arrays, so that a batch of stories is a few look-ups.

A template's place holds a code: a word, or a slot that a story fills (its fillers, a character's name tokens or pronouns).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.stories import grammar
from tasks.stories.roles import LAST

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Tables:
    """P plots, 8 beats, 2 tellings, L places of the longest sentence, S filler slots.

    Attributes:
        words: Every token as people read it, names last.
        templates: (P, 8, 2, L) codes.
        speaker: (P, 8, 2, L) for places that name somebody, 2 x beat for X and 2 x beat + 1 for Y; 0 elsewhere.
        fillers: For each slot the tokens that can fill it.
        pronouns: (2, 2) tokens: he and his, for girls (even first names) and boys.
        first_code: The code of a name's first token; its second is the next, then he and his, then the fillers.
        pad_code: The code of a place that the sentence does not use.
        pad_token: Padding.
        end_token: The story's last.
        first_token: Id of the first of the first names; those of the second names follow.
        second_token: Id of the first of the second names.
        longest: Tokens of the longest story.
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

    def fillers_at(self, uniform_BS: NDArray[np.float64]) -> Integers:
        """Tokens (B, S) of the filler slots from uniform numbers."""
        chosen = [words[(uniform_BS[:, slot] * len(words)).astype(np.int64)] for slot, words in enumerate(self.fillers)]
        return np.stack(chosen, axis=1)

    def resolve(self, codes_BC: Integers, first_BC: Integers, second_BC: Integers, fillers_BS: Integers) -> Integers:
        """Tokens (B, C) of codes: words stay, slots become what the story has for them.

        Args:
            codes_BC: Codes.
            first_BC: First name, by its number, of who each place would name.
            second_BC: Second name, likewise.
            fillers_BS: Tokens of the filler slots.
        """
        slot_BC = codes_BC - self.first_code
        tokens_BC = np.where(slot_BC == 0, self.first_token + first_BC, codes_BC)
        tokens_BC = np.where(slot_BC == 1, self.second_token + second_BC, tokens_BC)
        for number in (0, 1):
            tokens_BC = np.where(slot_BC == 2 + number, self.pronouns[first_BC % 2, number], tokens_BC)
        filled_BC = np.take_along_axis(fillers_BS, np.clip(slot_BC - 4, 0, len(self.fillers) - 1), axis=1)
        return np.where((slot_BC >= 4) & (codes_BC != self.pad_code), filled_BC, tokens_BC)


def build_tables(first_names: int, second_names: int) -> Tables:
    """The tables for name pools of these sizes."""
    sentences = [[[telling.split() for telling in beat] for beat in plot] for plot in grammar.PLOTS.values()]
    slots = {name: 4 + number for number, name in enumerate(grammar.FILLERS)}
    plain = {word for plot in sentences for beat in plot for telling in beat for word in telling if not _is_slot(word)}
    fillers = {name: words.split() for name, words in grammar.FILLERS.items()}
    vocabulary = plain.union(*fillers.values(), *grammar.PRONOUNS.values())
    firsts = grammar.pool(grammar.FIRST_NAMES, first_names, 0)
    seconds = grammar.pool(grammar.SECOND_NAMES, second_names, 5000)
    words = [grammar.PAD, grammar.END, *sorted(vocabulary), *firsts, *seconds]
    ids = {word: number for number, word in enumerate(words)}
    first_token = 2 + len(vocabulary)
    first_code = len(words)
    pad_code = first_code + 4 + len(slots)

    def encode(telling: list[str], beat: int) -> list[tuple[int, int]]:
        """(code, speaker) of each place; a name takes two."""
        places: list[tuple[int, int]] = []
        for word in telling:
            speaker = 2 * beat + (word[0] in "Yy")
            if word in ("X", "Y"):
                places += [(first_code, speaker), (first_code + 1, speaker)]
            elif word[:2] in ("x.", "y."):
                places.append((first_code + 2 + list(grammar.PRONOUNS).index(word[2:]), speaker))
            else:
                places.append((first_code + slots[word], 0) if word in slots else (ids[word], 0))
        return places

    encoded = [[[encode(telling, number) for telling in beat] for number, beat in enumerate(plot)] for plot in sentences]
    width = max(len(places) for plot in encoded for beat in plot for places in beat)
    padded = [[[places + [(pad_code, 0)] * (width - len(places)) for places in beat] for beat in plot] for plot in encoded]
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
        longest=1 + max(sum(max(len(places) for places in beat) for beat in plot) for plot in encoded),
    )


def _is_slot(word: str) -> bool:
    return word in ("X", "Y") or word in grammar.FILLERS or word[:2] in ("x.", "y.")


def parts_of(rng: np.random.Generator, n_B: Integers) -> Integers:
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


def packed(tables: Tables, tokens_BC: Integers, roles_BC: Integers, length: int) -> tuple[Integers, Integers]:
    """Tokens and roles (B, length) of stories without the gaps between their sentences, ended and padded."""
    size = len(tokens_BC)
    row, column = np.nonzero(roles_BC)
    ends = (roles_BC != 0).sum(axis=1)
    place = np.arange(len(row)) - np.repeat(np.cumsum(ends) - ends, ends)
    tokens = np.full((size, length), tables.pad_token, dtype=np.int64)
    roles = np.zeros((size, length), dtype=np.int64)
    tokens[row, place], roles[row, place] = tokens_BC[row, column], roles_BC[row, column]
    tokens[np.arange(size), ends], roles[np.arange(size), ends] = tables.end_token, LAST
    return tokens, roles
