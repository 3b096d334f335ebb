"""Sweeps as YAML files and as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lab.config.files import complaint
from lab.config.settings import Settings
from lab.config.yaml import read_mapping, write_yaml
from lab.errors import LabError
from lab.sweeping.spec.description import Budget, Hyperband, Median, Sampler, Sweep
from lab.sweeping.spec.spaces import Choices, Float, Int

_GROUPS: dict[str, type[Settings]] = {
    "sampler": Sampler,
    "budget": Budget,
    "median": Median,
    "hyperband": Hyperband,
    "categorical": Choices,
    "float": Float,
    "log": Float,
    "int": Int,
}
"""Groups of settings within a sweep, as pydantic names them in an error."""


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
        given = _names(first["loc"])
        where = ".".join(given[:2])
        if first["type"] == "union_tag_invalid":
            allowed = first["ctx"]["expected_tags"].replace("'", "")
            raise LabError(f"{where}.kind must be one of {allowed}, not {first['ctx']['tag']!r}") from error
        if first["type"] == "union_tag_not_found":
            raise LabError(f"{where} must be a mapping with a kind, as {{kind: log, low: 1e-4, high: 1e-2}}") from error
        if first["type"] == "value_error" and where:
            raise LabError(f"{where}: {first['ctx']['error']}") from error
        raise LabError(complaint(error, _known(first["loc"]), ".".join(given))) from error


def _names(loc: Sequence[int | str]) -> list[str]:
    """Return the names that lead to a value in a file, without the kind by which pydantic chose its group of settings."""
    kind = {"search": 2, "pruner": 1}.get(str(loc[0])) if loc else None
    return [str(part) for place, part in enumerate(loc) if part != "[key]" and place != kind]


def _known(loc: Sequence[int | str]) -> list[str]:
    """Return the settings of the group in which pydantic found an error, by their names in a file."""
    group = _GROUPS.get(str(loc[-2]), Sweep) if len(loc) > 1 else Sweep
    return [".".join([*_names(loc)[:-1], name]) for name in group.model_fields]


def dump(sweep: Sweep) -> str:
    """Return a sweep as YAML with every setting."""
    plain = sweep.model_dump(mode="json", exclude_none=True)
    for name, axis in (sweep.grid or {}).items():  # in JSON all labels would be strings
        plain["grid"][name] = axis.to_plain()
    for name, space in (sweep.search or {}).items():
        if isinstance(space, Choices):
            plain["search"][name]["choices"] = space.to_plain()
    return write_yaml(plain)
