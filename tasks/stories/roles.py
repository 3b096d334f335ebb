"""The roles of positions in a story, from the grammar or from a text."""

from __future__ import annotations

from tasks.core.batch import PADDING

ROLES = (PADDING, "word", "first_new", "second_new", "first_again", "second_again", "end")
WORD, FIRST_NEW, SECOND_NEW, FIRST_AGAIN, SECOND_AGAIN, LAST = range(1, len(ROLES))
