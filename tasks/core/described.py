"""Describe the settings of a task from its source: their defaults, allowed values and meanings."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import textwrap
import typing
from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, fields
from itertools import pairwise
from typing import Any, NamedTuple

from tasks.core.base import Task
from tasks.settings import default_of


class DescribedSetting(NamedTuple):
    """A setting of a task.

    Attributes:
        name: Its name.
        default: Its default value; None if it has none.
        allowed: The allowed values in words: a range where the source states it, else the type.
        meaning: The first sentence of the text below the field; empty without one.
    """

    name: str
    default: Any
    allowed: str
    meaning: str


def describe_settings(kind: type[Task]) -> list[DescribedSetting]:
    """Describe every setting of a task by the text below its field, its type and the calls of `require` in its class."""
    hints = typing.get_type_hints(kind)
    meanings: dict[str, str] = {}
    ranges: dict[str, list[str]] = {}
    known = {field.name for field in fields(kind)}
    for base in reversed(kind.__mro__):
        tree = _parse(base)
        meanings |= _meanings(tree)
        for setting, allowed in _checks(tree, known, vars(sys.modules[base.__module__])):
            ranges.setdefault(setting.removeprefix(f"{kind.name}."), []).append(allowed)
    described = []
    for field in fields(kind):
        default = default_of(field)
        allowed = _choices(hints[field.name]) or " and ".join(ranges.get(field.name, [])) or _type(hints[field.name])
        meaning = " ".join(meanings.get(field.name, "").split()).partition(". ")[0].rstrip(".")
        described.append(DescribedSetting(field.name, None if default is MISSING else default, allowed, meaning))
    return described


@functools.cache  # a completion script describes every task five times
def _parse(kind: type) -> ast.Module:
    """Parse the source of a class; empty where there is none, as for a class defined in a console."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError, SyntaxError):
        return ast.Module([], [])


def _meanings(tree: ast.Module) -> dict[str, str]:
    """Return the texts below the fields of a class."""
    found: dict[str, str] = {}
    for parent in tree.body:
        for pair in pairwise(parent.body if isinstance(parent, ast.ClassDef) else []):
            match pair:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = text
    return found


def _checks(tree: ast.Module, known: Collection[str], constants: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield each setting and its allowed values, as `require(condition, "star.degree", self.degree, "at least 2")` states them.

    Args:
        tree: The source of a class.
        known: Settings, which an f-string with `{self.degree}` refers to.
        constants: Values of the class's module, by name.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "require" and len(node.args) == 4:
            setting, allowed = node.args[1], _text(node.args[3], known, constants)
            if isinstance(setting, ast.Constant) and isinstance(setting.value, str) and allowed:
                yield setting.value, allowed


def _text(node: ast.expr, known: Collection[str], constants: Mapping[str, object]) -> str:
    """Return a text with settings by name and constants by value; empty if it has any other values."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    words = [_word(part, known, constants) for part in parts]
    return "" if None in words else "".join(word for word in words if word)


def _word(node: ast.expr, known: Collection[str], constants: Mapping[str, object]) -> str | None:
    """Return a part of an f-string as text; None if it is neither a text, a setting of `self` nor a constant."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.FormattedValue(value=ast.Attribute(value=ast.Name(id="self"), attr=name)) if name in known:
            return name
        case ast.FormattedValue(value=ast.Name(id=name)) if name in constants:
            return str(constants[name])
    return None


def _choices(hint: Any) -> str:
    """Return the values of a `Literal`; empty for any other type."""
    return ", ".join(map(str, typing.get_args(hint))) if typing.get_origin(hint) is typing.Literal else ""


def _type(hint: Any) -> str:
    """Return a type in words; empty for one that has no short name."""
    options = [each for each in typing.get_args(hint) if each is not type(None)]
    if typing.get_origin(hint) is tuple:
        return "a list" if Ellipsis in options else f"a list of {len(options)}"
    if len(options) == 1:  # this type, or None
        return f"{_type(options[0])}, or null"
    return _TYPES.get(hint, "")


_TYPES: dict[Any, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", Task: "a task"}
