"""The story grammar as integer arrays, so that a batch of stories is a few look-ups.

A template is a sequence of codes: words, or slots that a story fills (fillers, a character's name tokens or pronouns).
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
    """The arrays of P plots, 8 beats, 2 tellings, L codes of the longest sentence, S filler slots.

    Attributes:
        words: Every token as people read it, names last.
        templates: (P, 8, 2, L) codes.
        speaker: (P, 8, 2, L) for codes of a character, 2 x beat for X and 2 x beat + 1 for Y; 0 elsewhere.
        fillers: The tokens that can fill each slot.
        pronouns: (2, 2) tokens: he and his, for girls (even first names) and boys.
        first_code: The code of a name's first token; its second is the next, then he and his, then the fillers.
        pad_code: The code of unused positions of a sentence.
        pad_token: Padding.
        end_token: The last token of a story.
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

    def choose_fillers(self, uniform_BS: NDArray[np.float64]) -> Integers:
        """Choose tokens (B, S) of the filler slots by uniform numbers."""
        chosen = [words[(uniform_BS[:, slot] * len(words)).astype(np.int64)] for slot, words in enumerate(self.fillers)]
        return np.stack(chosen, axis=1)

    def resolve(self, codes_BC: Integers, first_BC: Integers, second_BC: Integers, fillers_BS: Integers) -> Integers:
        """Replace codes by tokens (B, C): words stay, slots are filled by the story.

        Args:
            codes_BC: Codes.
            first_BC: Number of the first name of the character at each code.
            second_BC: Number of its second name.
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
        """Return the codes of a sentence with their speakers; a name has two codes."""
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
    return word in ("X", "Y") or word in grammar.FILLERS or word[:2] in ("x.", "y.")


def assign_parts(rng: np.random.Generator, n_B: Integers) -> Integers:
    """Draw the character (0 to 3, modulo their number) of each part: (B, 2 x beats), X then Y of each beat."""
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
    """Remove the gaps between sentences, and end and pad stories: tokens and roles (B, length)."""
    size = len(tokens_BC)
    row, column = np.nonzero(roles_BC)
    ends = (roles_BC != 0).sum(axis=1)
    position = np.arange(len(row)) - np.repeat(np.cumsum(ends) - ends, ends)
    tokens = np.full((size, length), tables.pad_token, dtype=np.int64)
    roles = np.zeros((size, length), dtype=np.int64)
    tokens[row, position], roles[row, position] = tokens_BC[row, column], roles_BC[row, column]
    tokens[np.arange(size), ends], roles[np.arange(size), ends] = tables.end_token, LAST
    return tokens, roles
