"""The roles of positions in a story, from the grammar or from a text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.core.batch import PADDING

ROLES = (PADDING, "word", "first_new", "second_new", "first_again", "second_again", "end")
WORD, FIRST_NEW, SECOND_NEW, FIRST_AGAIN, SECOND_AGAIN, LAST = range(1, len(ROLES))
LABELS = {
    "word": "words",
    "first_new": "first token of a new name",
    "second_new": "second token of a new name",
    "first_again": "first token of a repeated name",
    "second_again": "second token of a repeated name",
    "end": "end token",
}
"""Names of roles in figures."""


def roles_of_codes(codes_BC: NDArray[np.int64], who_BC: NDArray[np.int64], first: int, pad: int) -> NDArray[np.int64]:
    """Return the role of each code (B, C) of a story.

    Args:
        codes_BC: Codes, as of `tables`.
        who_BC: The character at each code.
        first: The code of a name's first token; its second is the next.
        pad: The code of unused positions.
    """
    roles_BC = np.where(codes_BC == pad, 0, WORD)
    for code, new, again in ((first, FIRST_NEW, FIRST_AGAIN), (first + 1, SECOND_NEW, SECOND_AGAIN)):
        named = codes_BC == code
        roles_BC[named] = again
        for character in range(who_BC.max() + 1):
            theirs = named & (who_BC == character)
            row, column = np.flatnonzero(theirs.any(axis=1)), theirs.argmax(axis=1)
            roles_BC[row, column[row]] = new
    return roles_BC
