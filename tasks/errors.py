"""The one error of this package: a setting, an instance or a file that a task cannot take."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TaskError(ValueError):
    """Something that a task refuses; the message is one line that names it and says what is allowed."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence for an unknown name: the most similar known one, else all of them.

    Args:
        name: What was asked for.
        known: What there is.
    """
    known = sorted(known)
    similar = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {similar[0]!r}?" if similar else f"known: {', '.join(known)}"
