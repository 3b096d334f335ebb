"""Options of a command that follow from a function's signature and docstring."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Sequence
from typing import Any


def function_options(function: Callable[..., Any], skip: int, leave_out: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Return the options of a function, which are its arguments after the first ones, as `add_argument` takes them.

    Types and choices follow from the signature, descriptions from the docstring.

    Args:
        function: The function.
        skip: Number of its first arguments, which the command itself gives.
        leave_out: Arguments that a command line cannot give.
    """
    hints = typing.get_type_hints(function)
    documented = dict(re.findall(r"^ +(\w+): ((?:[^\n]|\n {8,})*)", inspect.getdoc(function) or "", re.MULTILINE))
    options: dict[str, dict[str, Any]] = {}
    for parameter in list(inspect.signature(function).parameters.values())[skip:]:
        if parameter.name in leave_out:
            continue
        text = " ".join(documented.get(parameter.name, "").split())
        default = parameter.default if isinstance(parameter.default, (str, float, int)) else None
        is_literal = typing.get_origin(hints.get(parameter.name)) is typing.Literal
        if parameter.default is False:
            options[parameter.name] = {"help": text.replace("%", "%%"), "action": "store_true", "default": None}
            continue
        options[parameter.name] = {
            "help": (text if default in (None, "") else f"{text} ({default})").replace("%", "%%"),
            "type": type(default) if type(default) in (float, int) else None,
            "choices": typing.get_args(hints[parameter.name]) if is_literal else None,
        }
    return options


def description(function: Callable[..., Any]) -> str:
    """Return the first line of a function's docstring."""
    return (inspect.getdoc(function) or function.__name__).partition("\n")[0]
