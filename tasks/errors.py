"""The one error of this package: a setting, an instance or a file that a task cannot take."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable


class TaskError(ValueError):
    """Something that a task refuses; the message is one line that names it and says what is allowed."""


def shown(value: object) -> str:
    """A value for a message of one line: quoted, and cut where it is long."""
    if isinstance(value, str):
        return repr(value) if len(value) <= _SHOWN else f"{value[:_SHOWN]!r} ..."
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."


_SHOWN = 80


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence for an unknown name: the most similar known one, else all of them.

    Args:
        name: What was asked for.
        known: What there is; of equally similar names the first in the alphabet is meant.
    """
    known = sorted(known)
    similarity = {each: _similarity(name, each) for each in known}
    best = max(known, key=similarity.__getitem__, default=None)
    return f"did you mean {best!r}?" if best is not None and similarity[best] >= _SIMILAR else f"known: {', '.join(known)}"


_SIMILAR = 0.6


def _similarity(one: str, other: str) -> float:
    """From 0 to 1: difflib's ratio, raised for each of the first four letters in common, as Winkler does."""
    ratio = difflib.SequenceMatcher(None, other, one).ratio()
    common = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one[:4], other, strict=False)))
    return ratio + 0.1 * common * (1 - ratio)
