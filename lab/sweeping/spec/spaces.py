"""What a setting can be in a sweep: some values, or a range to search."""

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
"""What a storage can hold and a table can show."""


class Space(Protocol):
    """Where a cell's settings come from."""

    def settings(self, name: str, label: Any) -> dict[str, Any]:
        """The settings by dotted name that a label means on the axis of this name."""

    def suggest(self, trial: Trial, name: str) -> None:
        """Choose a label for a trial, unless it has one already."""

    def extremes(self) -> tuple[Label, ...]:
        """Labels of which each must be possible in some cell, or the space is a mistake."""


def _choices(value: Any) -> Any:
    """Choices by label, from a list of values or from labels with their settings."""
    if isinstance(value, list):
        if any(isinstance(item, float) and not math.isfinite(item) for item in value):
            raise ValueError(f"states a number that is not finite: {', '.join(map(str, value))}")
        labels = [item if item is None or isinstance(item, (str, int, float, bool)) else json.dumps(item) for item in value]
        if len(set(labels)) < len(labels):
            raise ValueError(f"states a value twice: {', '.join(map(str, labels))}")
        value = dict(zip(labels, value, strict=True))
    elif isinstance(value, dict) and not all(isinstance(option, dict) for option in value.values()):
        raise ValueError("under each label stand the settings that it means, as small: {model.width: 32}")
    if value == {}:
        raise ValueError("has no values: an empty range")
    return value


class Choices(Settings):
    """Some values of one setting, or under each label settings that go together."""

    kind: Literal["categorical"] = "categorical"
    choices: Annotated[dict[Label, Any], BeforeValidator(_choices)]

    def settings(self, name: str, label: Any) -> dict[str, Any]:
        """The label's settings."""
        choice = self.choices[label]
        return dict(choice) if isinstance(choice, dict) else {name: choice}

    def suggest(self, trial: Trial, name: str) -> None:
        """Any of the labels."""
        trial.suggest_categorical(name, tuple(self.choices))

    def extremes(self) -> tuple[Label, ...]:
        """Every label."""
        return tuple(self.choices)

    def plain(self) -> list[Any] | dict[Label, Any]:
        """As YAML states them: a list of values, or settings by label."""
        grouped = any(isinstance(choice, dict) for choice in self.choices.values())
        return dict(self.choices) if grouped else list(self.choices.values())


class _Range(Settings):
    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        low, high = self.extremes()
        if not low < high:
            raise ValueError(f"low must be below high, not {low} and {high}: an empty range")
        return self

    def settings(self, name: str, label: Any) -> dict[str, Any]:
        """The number itself."""
        return {name: label}

    @abstractmethod
    def extremes(self) -> tuple[Any, Any]:
        """Both ends."""


class Float(_Range):
    """Any number between two; `log`: each factor is as likely as any other."""

    kind: Literal["float", "log"]
    low: float
    high: float

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if self.kind == "log" and self.low <= 0:
            raise ValueError(f"low must be above 0 on a log scale, not {self.low}")
        return self

    def suggest(self, trial: Trial, name: str) -> None:
        """Even, or even in the logarithm."""
        trial.suggest_float(name, self.low, self.high, log=self.kind == "log")

    def extremes(self) -> tuple[float, float]:
        """Both ends."""
        return self.low, self.high


class Int(_Range):
    """Whole numbers from `low` to `high`, in steps."""

    kind: Literal["int"]
    low: int
    high: int
    step: int = Field(1, ge=1)

    def suggest(self, trial: Trial, name: str) -> None:
        """Each as likely as any other."""
        trial.suggest_int(name, *self.extremes(), step=self.step)

    def extremes(self) -> tuple[int, int]:
        """The lowest, and the highest that the steps reach."""
        return self.low, self.low + (self.high - self.low) // self.step * self.step


def short_name(axis: str, label: Label) -> str:
    """A label as a part of a folder's name: `n2`, `width64`, `peak_lr0.003`, `swiglu`."""
    short = "n" if axis == "n_future" else axis.rpartition(".")[2]
    text = f"{label:g}" if isinstance(label, float) else str(label)
    says_it_itself = isinstance(label, str) and not label.startswith(("[", "{"))
    safe = re.sub(r"[^\w.+-]+", "_", text if says_it_itself else short + text)
    return safe.rstrip("_").lstrip("._-")  # a hidden folder is passed over, and a leading dash makes an option
