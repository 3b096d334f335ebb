"""Make experiments from names, dotted settings and YAML, with one style of error messages."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from lab.config.experiment import Experiment, ScheduleSettings
from lab.config.names import SHORT, rename_settings
from lab.config.presets import PAPER, SCALES
from lab.config.settings import to_plain, to_whole
from lab.config.yaml import read_mapping, write_yaml
from lab.errors import LabError
from tasks.errors import nearest

WARMUP = "schedule.warmup_steps"
USUAL_WARMUP: int = ScheduleSettings.model_fields["warmup_steps"].default
"""Default warm-up of a run of more steps than that."""


def from_settings(settings: Mapping[str, Any], *, check_files: bool = True) -> Experiment:
    """Make an experiment from nested settings.

    Args:
        settings: By name.
        check_files: Whether files that the task's settings name must exist and be usable.

    Raises:
        LabError: For an unknown setting (with the nearest known one) or a wrong value, naming it.
    """
    try:
        return Experiment.model_validate(dict(settings), context={"check_files": check_files})
    except ValidationError as error:
        raise LabError(complaint(error)) from None  # the sentence says it all
    except RecursionError as error:
        raise LabError("settings must not be nested this deeply") from error


def experiment(task: str, settings: Mapping[str, Any] | None = None, *, scale: str = "laptop", **more: Any) -> Experiment:
    """Return the default experiment of a task with some settings changed.

    Args:
        task: A task's name, or `module:Class`.
        settings: By dotted or short name, such as `{"model.size": "1M", "lr": 1e-3, "task.vocabulary": 64}`.
        scale: `laptop`: learns on two cores; `paper`: the paper's settings, for the tasks that it has.
        more: Settings without a dot in their names, such as `n_future=2`.

    Raises:
        LabError: For an unknown task or setting, a wrong value, another task among the settings, or the scale `paper` of a task
            that the paper does not have.
    """
    usual = defaults(task, scale)
    nested = changed(usual, {**(settings or {}), **more}, usual_warmup=warmup_of(usual))
    group = nested["task"]
    given = group.get("name", task) if isinstance(group, dict) else group
    if given != task:
        raise LabError(f"the task is given twice, as {task} and as {given}")
    return from_settings(nested)


def defaults(task: str, scale: str = "laptop") -> dict[str, Any]:
    """Return the nested settings of a task's default experiment that differ from the general defaults.

    Raises:
        LabError: For an unknown scale, or the scale `paper` of a task that the paper does not have.
    """
    if scale not in SCALES:
        raise LabError(f"scale must be one of {', '.join(SCALES)}, not {scale!r}")
    if scale == "paper" and task not in PAPER:
        raise LabError(f"{task} has no settings of the paper; tasks that have: {', '.join(sorted(PAPER))}")
    nested: dict[str, Any] = {"task": {"name": task}}
    for name, value in SCALES[scale].get(task, {}).items():
        _put(nested, name, value)
    return nested


def override(base: Experiment, settings: Mapping[str, Any]) -> Experiment:
    """Return a copy of an experiment with settings changed by their dotted or short names.

    A warm-up that is the default of the experiment's steps becomes that of new steps.

    Raises:
        LabError: For an unknown setting or a wrong value.
    """
    return from_settings(changed(base.model_dump(mode="json"), settings))


def changed(base: Mapping[str, Any], settings: Mapping[str, Any], usual_warmup: int = USUAL_WARMUP) -> dict[str, Any]:
    """Return nested settings with some changed by dotted or short names.

    A named size and its numbers exclude each other: the given one replaces the other. The warm-up follows the steps, unless it
    is given or `base` has another than the default.

    Args:
        base: Nested settings.
        settings: Those to change.
        usual_warmup: The default warm-up of a run that is long enough for it.
    """
    nested: dict[str, Any] = copy.deepcopy(dict(base))
    settings = rename_settings(settings)
    shape = {"model.width", "model.layers", "model.n_heads"}
    if settings.get("model.size") is not None:
        for name in shape - set(settings):
            nested.get("model", {}).pop(name.removeprefix("model."), None)
    elif shape & set(settings) and isinstance(nested.get("model"), dict):
        nested["model"].pop("size", None)
    given = flat({name: value for name, value in settings.items() if name != "task" or isinstance(value, str)})  # none twice
    for name, value in settings.items():
        _put(nested, name, value)
    if WARMUP not in given and warmup_of(base) == _default_warmup(base, usual_warmup):
        warmup = _default_warmup(nested, usual_warmup)
        if warmup != warmup_of(nested):
            _put(nested, WARMUP, warmup)
    return nested


def warmup_of(nested: Mapping[str, Any]) -> Any:
    """Return the warm-up that nested settings state, or the usual one; wrong values are found later."""
    schedule = nested.get("schedule")
    return schedule.get("warmup_steps", USUAL_WARMUP) if isinstance(schedule, Mapping) else USUAL_WARMUP


def _default_warmup(nested: Mapping[str, Any], usual: int) -> int:
    """Return the default warm-up of nested settings: the usual one, or a tenth of the steps where they are not more."""
    steps = to_whole(to_plain(nested.get("steps", Experiment.model_fields["steps"].default)))
    return usual if type(steps) is not int or steps > usual else steps // 10


def load(path: Path | str, *, check_files: bool = True) -> Experiment:
    """Read an experiment from a YAML file.

    Args:
        path: The file.
        check_files: Whether files that the task's settings name must exist and be usable.

    Raises:
        LabError: If it cannot be read, is not YAML, or has a wrong setting.
    """
    values = read_mapping(path)
    try:
        return from_settings(changed({}, values), check_files=check_files)
    except LabError as error:
        raise LabError(f"{path}: {error}") from error


def dump(settings: Experiment) -> str:
    """Return an experiment as YAML with every setting; `load` reads it back without loss."""
    return write_yaml(settings.model_dump(mode="json"))


def flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by their dotted names.

    An empty mapping is the value of its name, unless the name is that of a group, of which it then changes nothing.

    Raises:
        LabError: For a setting that is given twice.
    """
    result: dict[str, Any] = {}
    for name, value in nested.items():
        dotted = f"{prefix}{name}"
        inner = flat(value, f"{dotted}.") if isinstance(value, dict) and (value or dotted in _groups()) else {dotted: value}
        for twice in result.keys() & inner.keys():
            raise LabError(f"setting {twice} is given twice, by its dotted name and in its group")
        result |= inner
    if {"task", "task.name"} <= result.keys():
        raise LabError("setting task is given twice, as task and as task.name")
    return result


@cache
def _groups() -> frozenset[str]:
    """Return the names of all groups of settings."""
    return frozenset({name.rpartition(".")[0] for name in setting_names()} | {"task"})


def setting_names(kind: type[BaseModel] = Experiment, prefix: str = "") -> list[str]:
    """List every setting of an experiment by its dotted name, without the task's own."""
    names: list[str] = []
    for name, field in kind.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            names += setting_names(annotation, f"{prefix}{name}.")
        elif isinstance(field.default, dict):
            names += [f"{prefix}{name}.{key}" for key in field.default]
        else:
            names.append(prefix + name)
    return names


def _put(nested: dict[str, Any], name: str, value: Any) -> None:
    if not isinstance(name, str):
        raise LabError(f"a setting must be a name, not {name!r}")
    *groups, last = name.split(".")
    for group in groups:
        inner = nested.setdefault(group, {})
        if isinstance(inner, str) and group == "task":
            inner = nested[group] = {"name": inner}
        if not isinstance(inner, dict):
            raise LabError(f"unknown setting {name!r}; {nearest(name, [*setting_names(), *SHORT])}")
        nested = inner
    nested[last] = value


_ALLOWED = {
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "literal_error": "one of {expected}",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "a text",
    "bool_type": "true or false",
    "model_type": "a mapping of settings",
    "model_attributes_type": "a mapping of settings",
    "tuple_type": "a list",
    "string_pattern_mismatch": "a text that matches {pattern}",
    "invalid_key": "a name",
    "dict_type": "a mapping of settings",
}


def complaint(error: ValidationError, known: Sequence[str] | None = None, name: str = "") -> str:
    """Return the first of pydantic's errors as one line.

    Args:
        error: The error that pydantic raised.
        known: Names of all settings; by default those of an experiment.
        name: Name of the wrong setting; by default where pydantic found it.
    """
    first = error.errors(include_url=False)[0]
    name = name or ".".join(str(part) for part in first["loc"] if part != "[key]")
    context = first.get("ctx", {})
    if first["type"] == "extra_forbidden":
        return f"unknown setting {name!r}; {nearest(name, [*setting_names(), *SHORT] if known is None else known)}"
    if first["type"] == "missing":
        return f"{name} is missing"
    if first["type"] == "value_error":
        return str(context["error"])
    kind = "invalid_key" if "[key]" in first["loc"] else first["type"]
    allowed = _ALLOWED.get(kind, first["msg"]).format(**context)
    return f"{name} must be {allowed}, not {first['input']!r}"
