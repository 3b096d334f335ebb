"""The typed description of a sweep: a base experiment, what varies, on which seeds, by which sampler, within which budget.

A sweep is a YAML file:

    base: {task: induction, steps: 400}     settings by dotted name
    grid:                                   every combination is a cell, trained on every seed
      n_future: [1, 2]
      size: {small: {model.width: 32}, large: {model.width: 64, optimiser.peak_lr: 2e-3}}
    seeds: 8                                the seeds 0 ... 7, the same for all cells: every comparison is paired

or with `search` in place of `grid`, whose cells a sampler chooses.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from lab.config.numbers import check_count, numbers_from
from lab.config.settings import Settings, to_whole
from lab.sweeping.spec.spaces import Choices, Float, Int, Space, short_name

Labels = dict[str, Any]
"""A cell: the label chosen on each axis."""
Direction = Literal["maximise", "minimise"]


class Sampler(Settings):
    """Who chooses the cells of a search."""

    kind: Literal["tpe", "gp", "nsga2", "random"]
    """Tree-structured Parzen estimator, Gaussian process, the genetic NSGA-II (for several metrics), or chance."""
    startup_trials: int = Field(10, ge=1)
    """Cells drawn by chance before `tpe` and `gp` begin to learn from what they saw."""
    population: int = Field(20, ge=2)
    """Cells of one generation of `nsga2`."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Of the sampler; with one worker the same seed chooses the same cells, however often the sweep is stopped."""


class Median(Settings):
    """Ends a cell whose best evaluation so far is worse than the median of the others at the same point."""

    kind: Literal["median"]
    startup_trials: int = Field(5, ge=1)
    """Cells that must be complete before any is ended."""
    warmup_steps: int = Field(0, ge=0)
    """Optimiser steps that every cell gets."""


class Hyperband(Settings):
    """Gives many cells few steps and few cells many (Li et al. 2018)."""

    kind: Literal["hyperband"]
    min_steps: int = Field(50, ge=1)
    """Optimiser steps before the first cells are ended."""
    reduction_factor: int = Field(3, ge=2)
    """One in so many goes on at each rung."""


class Budget(Settings):
    """When no further cell is begun."""

    trials: int | None = Field(None, ge=1)
    """Cells of a search."""
    seconds: float | None = Field(None, gt=0)
    """Training time of the finished runs together, over all workers and stops."""


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
    return {"choices": value} if isinstance(value, (list, dict)) else value


Axis = Annotated[Choices, BeforeValidator(_choices)]
Searched = Annotated[Choices | Float | Int, Field(discriminator="kind")]


class Sweep(Settings):
    """A study: which experiments, and what is wanted of them."""

    name: str = Field(pattern=r"^[\w.-]+$")
    """Of the study in its storage; the file's name unless it says another."""
    base: dict[str, Any]
    """The settings that all cells share, by dotted name; a `task` among them."""
    grid: dict[str, Axis] | None = None
    """Axes: a setting's name and its values, or a name of one's own and under each label the settings that it stands for."""
    search: dict[str, Searched] | None = None
    """Settings by dotted name and where to look for them."""
    seeds: Annotated[tuple[int, ...], BeforeValidator(_seeds)] = (0,)
    """Of data and initial weights; a number means so many from 0, `4:8` those from 4 to 7. A cell of a search is measured by
    its mean over them."""
    metrics: dict[str, Direction] = Field(default_factory=dict)
    """What is wanted: a metric of the runs, `parameters` or `seconds`; by default the most of the task's headline."""
    rule: Literal["last", "best"] = "last"
    """Which evaluation of a run counts."""
    sampler: Annotated[Sampler | None, BeforeValidator(_kind)] = None
    """Of a search; by default `tpe`, or `nsga2` where there are several metrics."""
    pruner: Annotated[Annotated[Median | Hyperband, Field(discriminator="kind")] | None, BeforeValidator(_kind)] = None
    """Which cells are ended early, at their evaluation points; none by default."""
    budget: Budget = Budget()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.grid is None) == (self.search is None):
            raise ValueError("a sweep has either a grid or a search")
        if not self.axes:
            raise ValueError(f"{'search' if self.grid is None else 'grid'} must name a setting and its values, not be empty")
        if not self.seeds or min(self.seeds) < 0 or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must be a number above 0 or a list of different ones, not {list(self.seeds)}")
        if self.grid is not None and self.sampler is not None:
            raise ValueError("sampler is for a search; the cells of a grid are all trained")
        if self.grid is not None and self.budget.trials is not None:
            raise ValueError("budget.trials is for a search; a grid ends with its last cell")
        if self.search is not None and self.budget == Budget():
            raise ValueError("budget.trials or budget.seconds is missing: a search has no end of its own")
        if len(self.metrics) > 1 and self.pruner is not None:
            raise ValueError(f"pruner needs one metric, not {len(self.metrics)}: which is worse is not said by several")
        if len(self.metrics) > 1 and self.sampler is not None and self.sampler.kind == "gp":
            raise ValueError("sampler.kind must be one of tpe, nsga2, random where there are several metrics, not 'gp'")
        if len(self.metrics) > 1 and self.grid is not None:
            raise ValueError(f"metrics of a grid must be one, not {len(self.metrics)}: all its cells are trained anyway")
        return self

    @property
    def axes(self) -> dict[str, Space]:
        """What varies, by name."""
        return {**(self.grid or {}), **(self.search or {})}

    @cached_property
    def cells(self) -> list[Labels]:
        """Every cell of a grid, the last axis changing fastest; of a search none, since they are not known beforehand."""
        labels = [axis.extremes() for axis in (self.grid or {}).values()]
        return [dict(zip(self.grid or {}, choice, strict=True)) for choice in itertools.product(*labels)] if labels else []

    @cached_property
    def cell_names(self) -> dict[tuple[Any, ...], str]:
        """A short name for each of the `cells`, by its labels, as `n2-width64`."""
        names = ["-".join(filter(None, map(short_name, cell, cell.values()))) for cell in self.cells]
        counts, digits = Counter(names), len(str(len(names)))
        numbered = [f"cell{place:0{digits}d}" for place in range(len(names))]
        usable = [0 < len(name.encode()) <= 100 and counts[name] == 1 and name not in numbered for name in names]
        chosen = [name if fits else number for name, number, fits in zip(names, numbered, usable, strict=True)]
        return {tuple(cell.values()): name for cell, name in zip(self.cells, chosen, strict=True)}

    @property
    def identity(self) -> str:
        """16 hexadecimal digits that change with all that decides what a trial is, and their order; the budget may grow."""
        described = self.model_dump(mode="json", exclude={"budget"})
        text = json.dumps(described | {"base": dict(sorted(described["base"].items()))})
        return hashlib.sha256(text.encode()).hexdigest()[:16]
