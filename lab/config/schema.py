"""Schema 1: the names of settings of which fingerprints are made."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from importlib.resources import files
from typing import Any

from tasks import Task


def to_schema_1(settings: dict[str, Any], defaults: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """Return nested settings under their names in schema 1; a younger setting appears only where it is not at its default.

    So a new setting leaves the fingerprints of all earlier runs as they were.

    Args:
        settings: All settings of an experiment, as JSON has them; changed in place.
        defaults: The default of each setting by its dotted name.
        task: The experiment's task.
    """
    old = _schema_1()["settings"]
    settings["accumulate"] = settings.pop("grad_accum_steps")
    evaluation = settings["evaluation"]
    measures = evaluation.pop("measures")
    evaluation["induction_scores"] = measures["induction"] > 0
    evaluation["gradient_audit"] = measures["gradients"] or None
    known = {"induction": int(evaluation["induction_scores"]), "training": 1, "gradients": measures["gradients"]}
    if younger := {name: every for name, every in measures.items() if every != known.get(name, 0)}:
        evaluation["measures"] = younger
    _drop_defaults(settings, {name: value for name, value in defaults.items() if name not in old})
    _drop_younger(settings["task"], task)
    return settings


def _drop_defaults(settings: dict[str, Any], defaults: Mapping[str, Any], group: str = "") -> None:
    """Drop the settings at their defaults, of those whose defaults are given by dotted name, and groups that this empties."""
    for name, value in list(settings.items()):
        if f"{group}{name}" in defaults:
            if value == defaults[f"{group}{name}"]:
                del settings[name]
        elif isinstance(value, dict) and f"{group}{name}" != "task":
            _drop_defaults(value, defaults, f"{group}{name}.")
            if not value:
                del settings[name]


def _drop_younger(description: dict[str, Any], task: Task) -> None:
    """Drop a task's settings that are younger than schema 1 and at their defaults; its inner task's as well."""
    old = _schema_1()["tasks"].get(description["name"])
    for field in fields(task):
        inner = getattr(task, field.name)
        if isinstance(inner, Task):
            _drop_younger(description[field.name], inner)
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        if old is not None and field.name not in old and inner == default:
            del description[field.name]


@functools.cache
def _schema_1() -> Any:
    return json.loads(files("lab.config").joinpath("schema_1.json").read_text(encoding="utf-8"))
