"""What the settings of a task mean, what they may be and their defaults, as its source states them."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
import typing
from collections.abc import Collection, Iterator
from dataclasses import MISSING, fields
from itertools import pairwise
from typing import Any, NamedTuple

from tasks.core.base import Task


class DescribedSetting(NamedTuple):
    """A setting of a task.

    Attributes:
        name: Its name.
        default: Its default value; None if there is none.
        allowed: Allowed values in words: a range where the source states it, else the type.
        meaning: The first sentence of the text below the field; empty if there is none.
    """

    name: str
    default: Any
    allowed: str
    meaning: str


def describe_settings(kind: type[Task]) -> list[DescribedSetting]:
    """Describe every setting of a task: the texts below its fields, their types and the checks of `Task.check`."""
    hints = typing.get_type_hints(kind)
    meanings: dict[str, str] = {}
    ranges: dict[str, list[str]] = {}
    known = {field.name for field in fields(kind)}
    for part in reversed(kind.__mro__):
        tree = _source(part)
        meanings |= _meanings(tree)
        for setting, allowed in _checks(tree, known):
            ranges.setdefault(setting.removeprefix(f"{kind.name}."), []).append(allowed)
    described = []
    for field in fields(kind):
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        allowed = _choices(hints[field.name]) or " and ".join(ranges.get(field.name, [])) or _type(hints[field.name])
        meaning = " ".join(meanings.get(field.name, "").split()).partition(". ")[0].rstrip(".")
        described.append(DescribedSetting(field.name, None if default is MISSING else default, allowed, meaning))
    return described


@functools.cache  # a completion script describes every task five times
def _source(kind: type) -> ast.Module:
    """Parse the source of a class; empty where there is none, as of a class that was typed in."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError, SyntaxError):
        return ast.Module([], [])


def _meanings(tree: ast.Module) -> dict[str, str]:
    """Return the texts below the fields of a class."""
    found: dict[str, str] = {}
    for parent in tree.body:
        body = parent.body if isinstance(parent, ast.ClassDef) else []
        for field, text in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                value = text.value
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    found[field.target.id] = value.value
    return found


def _checks(tree: ast.Module, known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield each setting and what is allowed, as `require(condition, "star.degree", self.degree, "at least 2")` states it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "require" and len(node.args) == 4:
            setting, allowed = node.args[1], _text(node.args[3], known)
            if isinstance(setting, ast.Constant) and isinstance(setting.value, str) and allowed:
                yield setting.value, allowed


def _text(node: ast.expr, known: Collection[str]) -> str:
    """Return a text whose values are constants or known settings, which stand by their names; empty for any other."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    words = [_word(part, known) for part in parts]
    return "" if None in words else "".join(word for word in words if word)


def _word(node: ast.expr, known: Collection[str]) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    inner = node.value if isinstance(node, ast.FormattedValue) else None
    is_own = isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name) and inner.value.id == "self"
    return inner.attr if is_own and isinstance(inner, ast.Attribute) and inner.attr in known else None


def _choices(hint: Any) -> str:
    return ", ".join(map(str, typing.get_args(hint))) if typing.get_origin(hint) is typing.Literal else ""


def _type(hint: Any) -> str:
    """Return a type in words; empty for one that has no short name."""
    options = [each for each in typing.get_args(hint) if each is not type(None)]
    if typing.get_origin(hint) is tuple:
        return "a list" if Ellipsis in options else f"a list of {len(options)}"
    if len(options) == 1:  # or None
        return f"{_type(options[0])}, or null"
    return _TYPES.get(hint, "")


_TYPES: dict[Any, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", Task: "a task"}
