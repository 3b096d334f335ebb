"""Short names of settings in a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.config.names import expand, full_name
from lab.errors import LabError


def with_dotted_names(sweep: Mapping[str, Any]) -> dict[str, Any]:
    """Replace short names of settings by dotted ones, in a sweep's base, its axes and the settings of their labels.

    An axis whose labels stand for settings keeps its name, which is any: `size: {small: {width: 32}}`.

    Raises:
        LabError: If a setting is given by both of its names.
    """
    parts = {"base": expand, "grid": _expand_axes, "search": _expand_axes}
    return {
        name: parts[name](value) if name in parts and isinstance(value, Mapping) else value for name, value in sweep.items()
    }


def _expand_axes(axes: Mapping[str, Any]) -> dict[str, Any]:
    expanded: dict[str, Any] = {}
    for name, axis in axes.items():
        labels = _labels(axis)
        full = full_name(name) if labels is None else name
        if full in expanded:
            raise LabError(f"setting {full} is varied twice, by its short and its dotted name")
        expanded[full] = axis
        if labels is not None:
            settings = {label: expand(choice) if isinstance(choice, Mapping) else choice for label, choice in labels.items()}
            expanded[full] = {**axis, "choices": settings} if "kind" in axis else settings
    return expanded


def _labels(axis: Any) -> Mapping[Any, Any] | None:
    """Return the labels of an axis as a file states them; None for a list of values or a range."""
    choices = axis.get("choices") if isinstance(axis, Mapping) and "kind" in axis else axis
    return choices if isinstance(choices, Mapping) else None
