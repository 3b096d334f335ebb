"""The errors of this package, which reject a setting, an instance or a file, and parts of their messages."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Mapping


class TaskError(ValueError):
    """A rejected value; the message is one line that names the value and what is allowed."""


class MismatchError(TaskError):
    """Instances whose settings differ from the model's, so that its network cannot read them.

    Attributes:
        task: Name of the task.
        settings: The model's settings that are not at the task's defaults.
    """

    def __init__(self, message: str, task: str, settings: Mapping[str, object]) -> None:
        super().__init__(message)
        self.task, self.settings = task, dict(settings)


def shown(value: object) -> str:
    """Return a value as text for a message of one line: a string in quotes, and a long value cut off."""
    if isinstance(value, str):
        return repr(value) if len(value) <= _SHOWN else f"{value[:_SHOWN]!r} ..."
    try:
        text = repr(value)
    except ValueError:
        return "a number of thousands of digits"  # Python prints no integer of more than 4300
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."


_SHOWN = 80
"""Most characters of a value in a message."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return words that suggest the most similar allowed name for an unknown one, or list the allowed names if none is similar.

    Args:
        name: The unknown name.
        allowed: The allowed names; of equally similar ones the first in the alphabet is suggested.
    """
    allowed = sorted(set(allowed))
    similarity = {each: _similarity(name, each) for each in allowed}
    best = max(allowed, key=similarity.__getitem__, default=None)
    if best is not None and similarity[best] >= _SIMILAR:
        return f"did you mean {best!r}?"
    more = f", and {len(allowed) - _LISTED} more" if len(allowed) > _LISTED else ""
    return f"known: {', '.join(allowed[:_LISTED])}{more}"


_SIMILAR, _LISTED = 0.6, 40
"""Least similarity of a suggested name, and most names in a list."""


def _similarity(one: str, other: str) -> float:
    """Return a similarity from 0 to 1: difflib's ratio, raised for each of the first four letters in common (Winkler 1990)."""
    ratio = difflib.SequenceMatcher(None, other, one).ratio()
    common = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one[:4], other, strict=False)))
    return ratio + 0.1 * common * (1 - ratio)
