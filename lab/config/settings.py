"""The base class of all groups of settings."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

LARGEST = 10**12
"""Upper bound of every whole number but a seed: beyond any machine, and small enough to compute with."""


class Settings(BaseModel):
    """A frozen group of settings. Values may be NumPy's, paths, and whole numbers written as 1e3."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        validate_default=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
        use_attribute_docstrings=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_equivalents(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        whole = {name for name, field in cls.model_fields.items() if field.annotation in (int, int | None)}
        plain = {name: to_plain(value) for name, value in values.items()}
        return {name: to_whole(value) if name in whole else value for name, value in plain.items()}

    @field_validator("*")
    @classmethod
    def _computable(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, int) and value > LARGEST and info.field_name != "seed":
            raise PydanticCustomError("less_than_equal", "", {"le": LARGEST})
        return value


def to_plain(value: Any) -> Any:
    """Convert NumPy's scalars and arrays to Python's numbers and lists, and paths to text, within lists and dicts too."""
    if isinstance(value, dict):
        return {name: to_plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(to_plain, value)) if type(value) in (list, tuple) else value
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def to_whole(value: Any) -> Any:
    """Return a float that is a whole number as an int, and everything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
