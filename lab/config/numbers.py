"""Lists of whole numbers as users write them: of seeds, or of numbers of prediction heads."""

from __future__ import annotations

from lab.errors import LabError

MOST = 10_000
"""Numbers in one list: more are a typing error, or need several commands."""
_DIGITS = 19  # of 2**63, above every seed


def numbers_from(name: str, text: str) -> list[int]:
    """Parse `0:16` (from 0 to 15) or `0,3,7`, each number once.

    Args:
        name: The option or setting, for messages.
        text: The user's text.

    Raises:
        LabError: If it is neither, has no number or more than `MOST`.
    """
    first, colon, last = text.partition(":")
    words = [word.strip() for word in ([first, last] if colon else text.split(","))]
    if not all(word.isdecimal() and len(word) <= _DIGITS for word in words):
        raise LabError(f"{name} must be A:B or a list as 0,3,7, not {text!r}")
    numbers = [int(word) for word in words]
    if colon and not numbers[0] < numbers[1]:
        raise LabError(f"{name} must be A:B with A < B, not {text!r}")
    check_count(name, numbers[1] - numbers[0] if colon else len(numbers))
    return list(range(*numbers)) if colon else list(dict.fromkeys(numbers))


def check_count(name: str, count: int) -> None:
    """Reject a list that is too long, before it is built.

    Raises:
        LabError: Naming the option or setting.
    """
    if count > MOST:
        raise LabError(f"{name} must be at most {MOST} numbers, not {count}")
