"""All settings with defaults, allowed values and meanings, made from their fields."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import astuple
from typing import Any, Literal, NamedTuple, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lab.config.evaluation import MEASURES
from lab.config.experiment import Experiment
from lab.config.files import flat
from tasks import Task
from tasks.core import described

_BOUNDS = {Ge: "at least", Gt: "above", Le: "at most", Lt: "below"}


class Described(NamedTuple):
    """A setting.

    Attributes:
        name: Dotted.
        default: As YAML writes it.
        allowed: A range or a list of values; empty if the meaning has it.
        meaning: The first sentence.
    """

    name: str
    default: str
    allowed: str
    meaning: str


def describe_settings(kind: type[BaseModel] = Experiment, prefix: str = "") -> Iterator[Described]:
    """Describe every setting of an experiment but those of its task."""
    for name, field in kind.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from describe_settings(annotation, f"{prefix}{name}.")
        elif isinstance(field.default, dict):
            allowed = "a number of evaluation points, 0 for never"
            for key, entry in MEASURES.items():
                yield Described(f"{prefix}{name}.{key}", str(entry.every), allowed, entry.metrics)
        elif annotation is not Task:
            yield Described(prefix + name, _text(field.default), _allowed(field), _first_sentence(field.description or ""))


def describe_task(task: type[Task]) -> Iterator[Described]:
    """Describe every setting of a task, by its dotted name as a setting of an experiment."""
    for each in described.describe_settings(task):
        default = each.default.description["name"] if isinstance(each.default, Task) else each.default
        yield Described(f"task.{each.name}", _text(default), each.allowed, each.meaning)


def defaults_of(experiment: Experiment) -> dict[str, str]:
    """Return the values of an experiment's settings as YAML writes them, by dotted name."""
    return {name: _text(value) for name, value in flat(experiment.model_dump(mode="json")).items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _allowed(field: FieldInfo) -> str:
    """Describe the values that a field allows: its bounds, or a list."""
    words = [f"{_BOUNDS[type(bound)]} {astuple(bound)[0]}" for bound in field.metadata if type(bound) in _BOUNDS]
    words += [", ".join(map(str, field.examples))] if field.examples else []
    for kind in (field.annotation, *get_args(field.annotation)):
        words += [", ".join(get_args(kind))] if get_origin(kind) is Literal else []
        words += ["true or false"] if kind is bool and not field.examples else []
    return ", ".join(words)


def _first_sentence(text: str) -> str:
    return " ".join(text.split()).partition(". ")[0].rstrip(".")
