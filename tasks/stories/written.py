"""Find the roles of stories that are given as tokens. Shapes: B stories, T positions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.stories.roles import FIRST_AGAIN, FIRST_NEW, LAST, SECOND_AGAIN, SECOND_NEW, WORD
from tasks.stories.tables import Tables


def roles_of(tokens: NDArray[np.int64], tables: Tables) -> NDArray[np.int64]:
    """Return the role of each token of stories of the grammar, right or wrong, (B, T).

    A first name token stands for one character throughout a story, and a second one belongs to the first one before it.
    """
    first_BT = (tokens >= tables.first_token) & (tokens < tables.second_token)
    second_BT = tokens >= tables.second_token
    again_BT = np.zeros(tokens.shape, dtype=bool)
    for position in range(tokens.shape[1]):
        again_BT[:, position] = (tokens[:, :position] == tokens[:, position, None]).any(axis=1)
    after_again_BT = np.pad(again_BT & first_BT, ((0, 0), (1, 0)))[:, :-1]
    roles_BT = np.where(tokens == tables.pad_token, 0, WORD)
    roles_BT = np.where(first_BT, np.where(again_BT, FIRST_AGAIN, FIRST_NEW), roles_BT)
    roles_BT = np.where(second_BT, np.where(after_again_BT, SECOND_AGAIN, SECOND_NEW), roles_BT)
    return np.where(tokens == tables.end_token, LAST, roles_BT)
