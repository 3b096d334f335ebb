"""The roles of stories that are given as tokens."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.stories.roles import FIRST_AGAIN, FIRST_NEW, LAST, SECOND_AGAIN, SECOND_NEW, WORD
from tasks.stories.tables import Tables


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
