"""Sweeps as YAML files and as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lab.config.files import complaint
from lab.config.yaml import read_mapping, write_yaml
from lab.errors import LabError
from lab.sweeping.spec.description import Sweep
from lab.sweeping.spec.spaces import Choices


def load(path: Path | str) -> Sweep:
    """Read a sweep from a YAML file; without a `name` it takes the file's.

    Raises:
        LabError: If the file cannot be read, is not YAML, or has a wrong setting.
    """
    values = read_mapping(path)
    try:
        return from_mapping({"name": Path(path).stem, **values})
    except LabError as error:
        raise LabError(f"{path}: {error}") from error


def from_mapping(values: Mapping[str, Any]) -> Sweep:
    """Build a sweep from plain values.

    Raises:
        LabError: Naming the wrong setting.
    """
    try:
        return Sweep.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"][:2])
        if first["type"] == "union_tag_invalid":
            allowed = first["ctx"]["expected_tags"].replace("'", "")
            raise LabError(f"{where}.kind must be one of {allowed}, not {first['ctx']['tag']!r}") from error
        if first["type"] == "union_tag_not_found":
            raise LabError(f"{where} must be a mapping with a kind, as {{kind: log, low: 1e-4, high: 1e-2}}") from error
        if first["type"] == "value_error" and where:
            raise LabError(f"{where}: {first['ctx']['error']}") from error
        raise LabError(complaint(error, list(Sweep.model_fields))) from error


def dump(sweep: Sweep) -> str:
    """Return a sweep as YAML with every setting."""
    plain = sweep.model_dump(mode="json", exclude_none=True)
    for name, axis in (sweep.grid or {}).items():  # in JSON all labels would be strings
        plain["grid"][name] = axis.to_plain()
    for name, space in (sweep.search or {}).items():
        if isinstance(space, Choices):
            plain["search"][name]["choices"] = space.to_plain()
    return write_yaml(plain)
