"""The roles of positions in a story, of the grammar or of a corpus. Shapes: B stories, C codes."""

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
"""Labels of roles in figures."""


def roles_of_codes(codes_BC: NDArray[np.int64], who_BC: NDArray[np.int64], first: int, pad: int) -> NDArray[np.int64]:
    """Return the role of each code of stories, (B, C).

    Args:
        codes_BC: Codes of the grammar's tables.
        who_BC: The number of the character at each code.
        first: The code of the first token of a name; that of its second token is the next.
        pad: The code of unused positions.
    """
    roles_BC = np.where(codes_BC == pad, 0, WORD)
    for code, new, again in ((first, FIRST_NEW, FIRST_AGAIN), (first + 1, SECOND_NEW, SECOND_AGAIN)):
        is_name_BC = codes_BC == code
        roles_BC[is_name_BC] = again
        for character in range(who_BC.max() + 1):
            is_own_BC = is_name_BC & (who_BC == character)
            row_R = np.flatnonzero(is_own_BC.any(axis=1))
            roles_BC[row_R, is_own_BC[row_R].argmax(axis=1)] = new
    return roles_BC
