"""The roles of positions in a story, from the grammar or from a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.core.batch import PADDING

if TYPE_CHECKING:
    from tasks.stories.tables import Tables

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


def roles_of(tokens: NDArray[np.int64], tables: Tables) -> NDArray[np.int64]:
    """Return the role of each token (B, T) of stories of the grammar, right or wrong ones.

    A second name token belongs to the first name token before it, which is the same character's wherever it occurs.
    """
    firsts_BT = (tokens >= tables.first_token) & (tokens < tables.second_token)
    seconds_BT = tokens >= tables.second_token
    again_BT = np.zeros(tokens.shape, dtype=bool)
    for position in range(tokens.shape[1]):
        again_BT[:, position] = (tokens[:, :position] == tokens[:, position, None]).any(axis=1)
    named_BT = np.pad(again_BT & firsts_BT, ((0, 0), (1, 0)))[:, :-1]  # whether the token before names a character again
    roles_BT = np.where(tokens == tables.pad_token, 0, WORD)
    roles_BT = np.where(firsts_BT, np.where(again_BT, FIRST_AGAIN, FIRST_NEW), roles_BT)
    roles_BT = np.where(seconds_BT, np.where(named_BT, SECOND_AGAIN, SECOND_NEW), roles_BT)
    return np.where(tokens == tables.end_token, LAST, roles_BT)


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
