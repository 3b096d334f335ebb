"""The axes of a sweep: a list of values, or a range to search."""

from __future__ import annotations

import json
import math
import re
from abc import abstractmethod
from typing import Annotated, Any, Literal, Protocol, Self

from optuna import Trial
from pydantic import BeforeValidator, Field, model_validator

from lab.config.settings import Settings

Label = str | int | float | bool | None
"""The name of a value on an axis, as a storage holds it and a table shows it."""


class Space(Protocol):
    """The values of one axis."""

    def settings(self, name: str, label: Any) -> dict[str, Any]:
        """Return the settings by dotted name that a label stands for on the axis of this name."""

    def suggest(self, trial: Trial, name: str) -> None:
        """Choose a label for a trial, unless it has one already."""

    def bounds(self) -> tuple[Label, ...]:
        """Return labels of which each must be possible in some configuration: all choices, or both ends of a range."""


def _choices(value: Any) -> Any:
    """Convert a list of values, or labels with their settings, to choices by label."""
    if isinstance(value, list):
        if any(isinstance(item, float) and not math.isfinite(item) for item in value):
            raise ValueError(f"states a number that is not finite: {', '.join(map(str, value))}")
        labels = [item if item is None or isinstance(item, (str, int, float, bool)) else json.dumps(item) for item in value]
        if len(set(labels)) < len(labels):
            raise ValueError(f"states a value twice: {', '.join(map(str, labels))}")
        value = dict(zip(labels, value, strict=True))
    elif isinstance(value, dict) and not all(isinstance(option, dict) for option in value.values()):
        raise ValueError("each label needs the settings that it stands for, as small: {model.width: 32}")
    elif not isinstance(value, dict):
        raise ValueError(f"must be a list of values, or labels with their settings, not {value!r}")
    if value == {}:
        raise ValueError("has no values")
    return value


class Choices(Settings):
    """Values of one setting, or labels that each stand for a group of settings."""

    kind: Literal["categorical"] = "categorical"
    choices: Annotated[dict[Label, Any], BeforeValidator(_choices)]

    def settings(self, name: str, label: Any) -> dict[str, Any]:
        """Return the label's settings."""
        choice = self.choices[label]
        return dict(choice) if isinstance(choice, dict) else {name: choice}

    def suggest(self, trial: Trial, name: str) -> None:
        """Choose one of the labels."""
        trial.suggest_categorical(name, tuple(self.choices))

    def bounds(self) -> tuple[Label, ...]:
        """Return every label."""
        return tuple(self.choices)

    def to_plain(self) -> list[Any] | dict[Label, Any]:
        """Return the choices as YAML states them: a list of values, or settings by label."""
        grouped = any(isinstance(choice, dict) for choice in self.choices.values())
        return dict(self.choices) if grouped else list(self.choices.values())


def _check_order(low: float, high: float) -> None:
    if not low < high:
        raise ValueError(f"low must be below high, not {low} and {high}")


class _Range(Settings):
    def settings(self, name: str, label: Any) -> dict[str, Any]:
        """Return the number itself as the setting's value."""
        return {name: label}

    @abstractmethod
    def bounds(self) -> tuple[Any, Any]:
        """Return both ends."""


class Float(_Range):
    """A range of real numbers, uniform (`float`) or log-uniform (`log`)."""

    kind: Literal["float", "log"]
    low: float
    high: float

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_order(self.low, self.high)
        if self.kind == "log" and self.low <= 0:
            raise ValueError(f"low must be above 0 on a log scale, not {self.low}")
        return self

    def suggest(self, trial: Trial, name: str) -> None:
        """Choose uniformly or log-uniformly."""
        trial.suggest_float(name, self.low, self.high, log=self.kind == "log")

    def bounds(self) -> tuple[float, float]:
        """Return both ends."""
        return self.low, self.high

    @property
    def inner(self) -> float:
        """A number within the range, not a whole one where the ends are small whole numbers."""
        return self.low + (self.high - self.low) * 0.381966


class Int(_Range):
    """Whole numbers from `low` to `high` in steps of `step`."""

    kind: Literal["int"]
    low: int
    high: int
    step: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_order(self.low, self.high)
        if self.step > self.high - self.low:
            raise ValueError(f"step must be at most {self.high - self.low}, which is high - low, not {self.step}")
        return self

    def suggest(self, trial: Trial, name: str) -> None:
        """Choose uniformly."""
        trial.suggest_int(name, *self.bounds(), step=self.step)

    def bounds(self) -> tuple[int, int]:
        """Return the lowest number and the highest that the steps reach."""
        return self.low, self.low + (self.high - self.low) // self.step * self.step


def short_name(axis: str, label: Label) -> str:
    """Return a label as part of a folder's name: `n2`, `width64`, `peak_lr0.003`, `swiglu`."""
    short = "n" if axis == "n_future" else axis.rpartition(".")[2]
    text = f"{label:g}" if isinstance(label, float) else str(label)
    is_word = isinstance(label, str) and not label.startswith(("[", "{"))
    safe = re.sub(r"[^\w.+-]+", "_", text if is_word else short + text)
    return safe.rstrip("_").lstrip("._-")  # a hidden folder would be skipped, and a leading dash reads as an option
