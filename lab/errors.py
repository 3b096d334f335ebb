"""Errors that a user sees as one line, not as a traceback."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.errors import TaskError
from tasks.settings import checked


class LabError(Exception):
    """A wrong setting, file or folder; the message is one line that names it and says what is allowed."""


class Occupied(LabError):
    """A place that is already used by something else; another one must be chosen.

    Attributes:
        argument: The argument of the call that names the place, as `out` or `port`; commands advise the option of that name.
        forcible: Whether `force` would replace it.
    """

    def __init__(self, message: str, argument: str = "out", *, forcible: bool = False) -> None:
        super().__init__(message)
        self.argument, self.forcible = argument, forcible


class Interrupted(LabError):
    """A signal ended the work (Ctrl-C, SIGTERM, SIGHUP); its state is saved and the message says how to resume.

    Attributes:
        number: The signal; a command's exit status is 128 + number.
    """

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.number = int(number)


class Diverged(LabError):
    """Runs had a loss or gradient that is not finite; each can resume from its last checkpoint.

    Attributes:
        steps: The step, counted from 1, at which each of them diverged, by the run's folder.
    """

    def __init__(self, steps: Mapping[Path, int]) -> None:
        self.steps = dict(steps)
        runs = ", ".join(f"{path} diverged at step {step}" for path, step in steps.items())
        super().__init__(f"{runs}: a loss or gradient is not finite")


def check_type(name: str, value: object, hint: object) -> Any:
    """Return a value as the type of its annotation: see `tasks.settings.checked`.

    Args:
        name: Of the argument, for the message.
        value: The given value.
        hint: Its type.

    Raises:
        LabError: If it has another type.
    """
    try:
        return checked(name, value, hint)
    except TaskError as error:
        raise LabError(str(error)) from None


def check_whole(name: str, value: object) -> int:
    """Return a whole number, which may be one of NumPy or written as 1e3.

    Raises:
        LabError: If it is no whole number.
    """
    number: int = check_type(name, value, int)
    return number


def check_count(name: str, value: object, least: int = 1) -> int:
    """Return a whole number as `check_whole`, and reject one below the least.

    Raises:
        LabError: If it is no whole number, or below the least.
    """
    number = check_whole(name, value)
    if number < least:
        raise LabError(f"{name} must be at least {least}, not {number}")
    return number


def check_head(head: int, n_future: int, name: str = "head") -> int:
    """Return the number of a prediction head, counted from 1.

    Args:
        head: The number.
        n_future: Prediction heads of the network.
        name: What the number is, for the message.

    Raises:
        LabError: If there is none.
    """
    number = check_whole(name, head)
    if not 1 <= number <= n_future:
        raise LabError(f"{name} must be between 1 and n_future = {n_future}, not {number}")
    return number
