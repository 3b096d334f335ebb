"""Entries of registries: objects named by a dotted path, `package.module:Name`, and loaded when they are used."""

from __future__ import annotations

import importlib
from typing import Any, TypeVar

from lab.errors import LabError

Entry = TypeVar("Entry")


def load_entry(path: str, kind: type[Entry], setting: str) -> Entry:
    """Import the object that a registry's table or a user names.

    Args:
        path: `module:Name`.
        kind: What the object must be an instance of.
        setting: The setting that names it, for the message.

    Raises:
        LabError: If it cannot be imported or is of another kind.
    """
    found = load_object(path, setting)
    if not isinstance(found, kind):
        raise LabError(f"{setting} {path!r} is not a {kind.__module__.rpartition('.')[0]}.{kind.__name__}")
    return found


def load_object(path: str, setting: str) -> Any:
    """Import an object by `module:Name`.

    Raises:
        LabError: If it cannot be imported.
    """
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise LabError(f"{setting} {path!r} cannot be imported: {error}") from error
