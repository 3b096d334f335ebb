"""Check a task's settings: their types at construction, and their ranges by `require`, with one form of message."""

from __future__ import annotations

import os
import sys
import types
import typing
from contextlib import suppress
from dataclasses import MISSING, Field, fields
from math import isqrt
from typing import Any

import numpy as np

from tasks.errors import TaskError, shown

_LARGEST = 10**12
"""Largest whole number of a setting: beyond any machine, and small enough to compute with."""


def require(condition: bool, setting: str, value: object, allowed: str) -> None:
    """Reject a setting's value unless a condition holds.

    Args:
        condition: Whether the value is allowed.
        setting: Name of the setting, as `induction.period`.
        value: The given value.
        allowed: The allowed values in words, as `at least 2`.

    Raises:
        TaskError: If the condition does not hold.
    """
    if not condition:
        raise TaskError(f"{setting} must be {allowed}, not {shown(value)}")


def whole_number(setting: str, value: object, least: int = 1, most: int = _LARGEST) -> int:
    """Return a whole number, which may be one of NumPy or written as 1e3.

    Args:
        setting: Name of the setting or argument.
        value: The given value.
        least: The least number allowed.
        most: The largest number allowed.

    Raises:
        TaskError: If it is no whole number, or out of range.
    """
    number: int = checked(setting, value, int)
    require(least <= number <= most, setting, value, f"at least {least}" if most == _LARGEST else f"between {least} and {most}")
    return number


def is_prime(number: int) -> bool:
    """Return whether a number is prime, by trial division."""
    return number >= 2 and all(number % divisor for divisor in range(2, isqrt(number) + 1))


def default_of(field: Field[Any]) -> Any:
    """Return the default value of a dataclass's field; `MISSING` if it has none."""
    return field.default if field.default_factory is MISSING else field.default_factory()


def number_below(word: str, limit: int) -> int | None:
    """Read a number below the limit from its decimal digits; return None for any other word, however long."""
    if not (word.isascii() and word.isdigit()):
        return None
    digits = word.lstrip("0") or "0"
    return int(digits) if len(digits) <= len(str(limit)) and int(digits) < limit else None


def check_types(task: Any) -> None:
    """Check every field of a task against its annotation, and turn lists, as YAML has them, into tuples.

    Raises:
        TaskError: For the first field whose value has another type.
    """
    hints = typing.get_type_hints(type(task))
    for field in fields(task):
        value = getattr(task, field.name)
        object.__setattr__(task, field.name, checked(f"{task.name}.{field.name}", value, hints[field.name]))


def checked(setting: str, value: Any, hint: Any) -> Any:
    """Return a value as the type of its annotation.

    Args:
        setting: Name of the setting or argument.
        value: The given value.
        hint: Its type.

    Raises:
        TaskError: If it has another type.
    """
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        *others, last = (option for option in arguments if option is not type(None))
        for option in others:
            with suppress(TaskError):
                return checked(setting, value, option)
        return checked(setting, value, last)
    if origin is typing.Literal:
        same = any(type(value) is type(argument) and value == argument for argument in arguments)  # 1.0 and True are not 1
        require(same, setting, value, "one of " + ", ".join(map(str, arguments)))
        return value
    if origin is tuple:
        require(isinstance(value, (list, tuple)), setting, value, "a list")
        if arguments[-1] is Ellipsis:
            return tuple(checked(setting, item, arguments[0]) for item in value)
        require(len(value) == len(arguments), setting, value, f"a list of {len(arguments)} values")
        return tuple(checked(setting, item, kind) for item, kind in zip(value, arguments, strict=True))
    if hint is float:
        require(isinstance(value, (int, float)) and not isinstance(value, bool), setting, value, "a number")
        require(abs(value) <= sys.float_info.max, setting, value, "a finite number")  # nan and whole numbers of any size
        return float(value)
    if hint is int:
        value = int(value) if isinstance(value, float) and value.is_integer() else value  # 1e3
        require(isinstance(value, int) and not isinstance(value, bool), setting, value, "a whole number")
        require(value <= _LARGEST, setting, value, f"at most {_LARGEST}")
        require(value >= -_LARGEST, setting, value, f"at least {-_LARGEST}")
        return value
    value = os.fspath(value) if hint is str and isinstance(value, os.PathLike) else value
    require(isinstance(value, hint), setting, value, _KINDS.get(hint, f"a {hint.__name__}"))
    return value


_KINDS = {bool: "true or false", str: "a text"}
