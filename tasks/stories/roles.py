"""The roles of positions in a story, from the grammar or from a text."""

from __future__ import annotations

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
