"""The typed description of a sweep: a base experiment, axes, seeds, sampler and budget.

A sweep is a YAML file:

    base: {task: induction, steps: 400}     settings by dotted name
    grid:                                   every combination is a configuration, trained on every seed
      n_future: [1, 2]
      size: {small: {model.width: 32}, large: {model.width: 64, optimiser.peak_lr: 2e-3}}
    seeds: 8                                the seeds 0 ... 7, the same for all configurations: every comparison is paired

or with `search` in place of `grid`, whose configurations a sampler chooses.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections import Counter
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from lab.config.numbers import check_count, numbers_from
from lab.config.settings import Settings, to_whole
from lab.sweeping.spec.names import with_dotted_names
from lab.sweeping.spec.spaces import Choices, Float, Int, Space, short_name

Configuration = dict[str, Any]
"""All that a sweep varies but the seed: the label chosen on each axis."""
MOST_RUNS = 100_000
"""Runs of a grid: each is checked before the first one is trained."""
Direction = Literal["maximise", "minimise"]


class Sampler(Settings):
    """The method that chooses the configurations of a search."""

    kind: Literal["tpe", "gp", "nsga2", "random"]
    """Tree-structured Parzen estimator, Gaussian process, NSGA-II (for several metrics), or random search."""
    startup_trials: int = Field(10, ge=1)
    """Configurations drawn at random before `tpe` and `gp` use the results so far."""
    population: int = Field(20, ge=2)
    """Configurations of one generation of `nsga2`."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the sampler. With one worker the same seed chooses the same configurations, however often the sweep stops."""


class Median(Settings):
    """Stop a configuration whose best evaluation so far is worse than the median of the others at the same point."""

    kind: Literal["median"]
    startup_trials: int = Field(5, ge=1)
    """Configurations that must be complete before any is pruned."""
    warmup_steps: int = Field(0, ge=0)
    """Optimiser steps before a configuration can be pruned."""


class Hyperband(Settings):
    """Train many configurations for few steps and few for many (Li et al. 2018)."""

    kind: Literal["hyperband"]
    min_steps: int = Field(50, ge=1)
    """Optimiser steps before the first configurations are pruned."""
    reduction_factor: int = Field(3, ge=2)
    """Of this many configurations one passes each rung."""


class Budget(Settings):
    """Limits after which no further configuration starts."""

    trials: int | None = Field(None, ge=1)
    """Number of configurations of a search."""
    seconds: float | None = Field(None, gt=0)
    """Total training time of the finished runs, summed over all workers and restarts."""


def _seeds(value: Any) -> Any:
    value = to_whole(value)
    if isinstance(value, str):
        return tuple(numbers_from("seeds", value))
    if isinstance(value, int) and not isinstance(value, bool):
        check_count("seeds", value)
        return tuple(range(value))
    return tuple(value) if isinstance(value, (list, range)) else value


def _kind(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


def _choices(value: Any) -> Any:
    if not isinstance(value, (list, dict, Choices)):
        raise ValueError(f"must be a list of values, or labels with their settings, not {value!r}")
    return value if isinstance(value, Choices) else {"choices": value}


Axis = Annotated[Choices, BeforeValidator(_choices)]
Searched = Annotated[Choices | Float | Int, Field(discriminator="kind")]


class Sweep(Settings):
    """The typed description of a sweep."""

    name: str = Field(pattern=r"^\.*[\w-][\w.-]*$")
    """Name of the study in its storage; by default the file's name."""
    base: dict[str, Any]
    """Settings that all configurations share, by dotted name; one of them is `task`."""
    grid: dict[str, Axis] | None = None
    """Axes: a setting and its values, or any name with labels, each of which stands for a group of settings."""
    search: dict[str, Searched] | None = None
    """The range of each setting, by dotted name."""
    seeds: Annotated[tuple[int, ...], BeforeValidator(_seeds)] = (0,)
    """Seeds of data and initial weights: `8` means 0 to 7, `4:8` means 4 to 7. A search scores a configuration by its mean
    over them."""
    metrics: dict[str, Direction] = Field(default_factory=dict)
    """The objective of the sweep: a metric of the runs, `parameters` or `seconds`, with its direction. By default the task's
    headline is maximised."""
    rule: Literal["last", "best"] = "last"
    """The evaluation of a run that counts."""
    sampler: Annotated[Sampler | None, BeforeValidator(_kind)] = None
    """The sampler of a search; by default `tpe`, or `nsga2` for several metrics."""
    pruner: Annotated[Annotated[Median | Hyperband, Field(discriminator="kind")] | None, BeforeValidator(_kind)] = None
    """The rule that stops configurations early, at their evaluation points; by default none."""
    budget: Budget = Budget()

    @model_validator(mode="before")
    @classmethod
    def _use_dotted_names(cls, values: Any) -> Any:
        return with_dotted_names(values) if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.grid is None) == (self.search is None):
            raise ValueError("a sweep has either a grid or a search")
        if not self.axes:
            raise ValueError(f"{'search' if self.grid is None else 'grid'} must name a setting and its values, not be empty")
        if not self.seeds or min(self.seeds) < 0 or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must be a number above 0 or a list of different ones, not {list(self.seeds)}")
        if (runs := math.prod(len(axis.bounds()) for axis in (self.grid or {}).values()) * len(self.seeds)) > MOST_RUNS:
            raise ValueError(f"grid must have at most {MOST_RUNS} runs, all its configurations on each seed, not {runs}")
        if self.grid is not None and self.sampler is not None:
            raise ValueError("sampler is for a search; all configurations of a grid are trained")
        if self.grid is not None and self.budget.trials is not None:
            raise ValueError("budget.trials is for a search; a grid ends with its last run")
        if self.search is not None and self.budget == Budget():
            raise ValueError("budget.trials or budget.seconds is missing: without one a search does not end")
        if len(self.metrics) > 1 and self.pruner is not None:
            raise ValueError(f"pruner needs one metric, not {len(self.metrics)}: several do not rank configurations")
        if len(self.metrics) > 1 and self.sampler is not None and self.sampler.kind == "gp":
            raise ValueError("sampler.kind must be one of tpe, nsga2, random for several metrics, not 'gp'")
        if len(self.metrics) > 1 and self.grid is not None:
            raise ValueError(f"metrics of a grid must be one, not {len(self.metrics)}: all its configurations are trained")
        return self

    @property
    def axes(self) -> dict[str, Space]:
        """The axes of the grid or the search, by name."""
        return {**(self.grid or {}), **(self.search or {})}

    @cached_property
    def configurations(self) -> list[Configuration]:
        """Every configuration of a grid, the last axis changing fastest; none of a search, which chooses them as it goes."""
        labels = [axis.bounds() for axis in (self.grid or {}).values()]
        return [dict(zip(self.grid or {}, choice, strict=True)) for choice in itertools.product(*labels)] if labels else []

    @cached_property
    def configuration_names(self) -> dict[tuple[Any, ...], str]:
        """A short name for each of the `configurations`, by its labels, as `n2-width64`; `cell07` where that is not unique."""
        names = ["-".join(filter(None, map(short_name, each, each.values()))) for each in self.configurations]
        counts, digits = Counter(names), len(str(len(names)))
        numbered = [f"cell{index:0{digits}d}" for index in range(len(names))]  # as in the folders of older versions
        usable = [0 < len(name.encode()) <= 100 and counts[name] == 1 and name not in numbered for name in names]
        unique = [name if fits else number for name, number, fits in zip(names, numbered, usable, strict=True)]
        return {tuple(each.values()): name for each, name in zip(self.configurations, unique, strict=True)}

    @property
    def identity(self) -> str:
        """16 hexadecimal digits that identify the sweep's runs and their order; they do not depend on the budget."""
        described = self.model_dump(mode="json", exclude={"budget"})
        text = json.dumps(described | {"base": dict(sorted(described["base"].items()))})
        return hashlib.sha256(text.encode()).hexdigest()[:16]
