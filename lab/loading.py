"""Import large packages faster: without garbage collection, and without what is not used of them."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any


@contextmanager
def without_collection() -> Iterator[None]:
    """Pause garbage collection inside.

    An import makes many objects and hardly any garbage: collections, which look at all objects again and again, take a fifth of
    the time that torch and Lightning need.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.freeze()
            gc.unfreeze()  # all objects are in the oldest generation now: the next collection of young ones is short
            gc.enable()


def import_partly(package: str, names: Mapping[str, str], **given: object) -> None:
    """Import some names of a package; its `__init__` runs as soon as another name is asked for.

    The names are the package's own: a class is the same before and after. If one of them cannot be imported, as in another
    version of the package, nothing of it stays imported, so that the next import is the usual one.

    Args:
        package: A package that is installed; one that is imported already stays as it is.
        names: Names and the modules of the package that have them, in an order in which the modules can be imported.
        given: Names, with values, that these modules expect of the package.
    """
    spec = None if package in sys.modules else importlib.util.find_spec(package)
    if spec is None:
        return
    module = sys.modules[package] = importlib.util.module_from_spec(spec)
    vars(module).update(given)
    try:
        for name, place in names.items():
            setattr(module, name, getattr(importlib.import_module(f"{package}.{place}"), name))
    except (ImportError, AttributeError):
        for loaded in [each for each in sys.modules if each.partition(".")[0] == package]:
            del sys.modules[loaded]
    else:
        module.__class__ = _Unfinished


class _Unfinished(ModuleType):
    """A package whose `__init__` has not run yet."""

    def __getattr__(self, name: str) -> Any:
        """Run `__init__`, unless Python looks for something of its own, such as `__wrapped__`."""
        if name.startswith("__") and name != "__all__":
            raise AttributeError(name)
        assert self.__spec__ is not None
        assert self.__spec__.loader is not None
        self.__class__ = ModuleType  # type: ignore[assignment]  # as Python allows for modules
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)
