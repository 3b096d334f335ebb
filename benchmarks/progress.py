"""Print the progress of a benchmark on standard error, so that standard output has tables only."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterator
from typing import TypeVar

Item = TypeVar("Item")
_START = time.monotonic()


def each(name: str, items: Collection[Item], *, at_most_every: float = 0.0) -> Iterator[Item]:
    """Yield items, and print a line before each: seconds since the start, name and number of the item, and its text.

    Args:
        name: Name of the items, such as `round`.
        items: The items; those of a range are printed by number alone.
        at_most_every: Least number of seconds between two lines; the first item always has a line.
    """
    printed = -float("inf")
    for number, item in enumerate(items, start=1):
        now = time.monotonic()
        if now - printed >= at_most_every:
            log(f"{name} {number} of {len(items)}{'' if isinstance(items, range) else f': {item}'}")
            printed = now
        yield item


def log(line: str) -> None:
    """Print a line on standard error, after the seconds since the start."""
    print(f"{time.monotonic() - _START:6.0f} s  {line}", file=sys.stderr, flush=True)
