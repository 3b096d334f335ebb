"""Progress of a benchmark on standard error, so that the tables on standard output stay clean."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterator
from typing import TypeVar

Item = TypeVar("Item")
_BEGAN = time.monotonic()


def each(what: str, items: Collection[Item], *, at_most_every: float = 0.0) -> Iterator[Item]:
    """Go through items, and print a line before each: seconds since the start, `what`, which of how many, and the item.

    Args:
        what: What an item is, as `round`.
        items: Shown by their text; numbers of a range are not.
        at_most_every: Seconds from one line to the next; the first item always has one.
    """
    printed = -float("inf")
    for place, item in enumerate(items, start=1):
        now = time.monotonic()
        if now - printed >= at_most_every:
            note(f"{what} {place} of {len(items)}{'' if isinstance(items, range) else f': {item}'}")
            printed = now
        yield item


def note(line: str) -> None:
    """Print what begins now, after the seconds since the start."""
    print(f"{time.monotonic() - _BEGAN:6.0f} s  {line}", file=sys.stderr, flush=True)
