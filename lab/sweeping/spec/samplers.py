"""Optuna's samplers and pruners, built so that a stopped study goes on as if it never had been."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from lab.sweeping.spec.description import Hyperband, Median, Sampler, Sweep


class Reseeded(BaseSampler):
    """A fresh sampler for each trial, seeded by the trial's number.

    What it chooses is then a function of seed, number and the trials before, all of which a storage holds; a sampler that lived
    on would also depend on how often it was asked since the process began.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make, self._seed = make, seed
        self._current: tuple[int, BaseSampler] | None = None

    def _for(self, trial: FrozenTrial) -> BaseSampler:
        if self._current is None or self._current[0] != trial.number:
            (seed,) = np.random.SeedSequence([self._seed, trial.number]).generate_state(1)
            self._current = trial.number, self._make(int(seed))
        return self._current[1]

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._current = None
        self._for(trial).before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._for(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:  # fmt: skip
        return self._for(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:  # fmt: skip
        return self._for(trial).sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:  # fmt: skip
        self._for(trial).after_trial(study, trial, state, values)


class Listed(BaseSampler):
    """Trial number k is the k-th of a list.

    Optuna's GridSampler shuffles its cells, so that pairs would be complete only at the end, and may hand a cell to two workers
    when others were lost; here the number alone says the cell.
    """

    def __init__(self, params: Callable[[int], dict[str, Any]]) -> None:
        self._params = params

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:  # fmt: skip
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:  # fmt: skip
        return self._params(trial.number)[param_name]


def _tpe(settings: Sampler, seed: int) -> BaseSampler:
    return TPESampler(seed=seed, n_startup_trials=settings.startup_trials, constant_liar=True)


def _gp(settings: Sampler, seed: int) -> BaseSampler:
    return GPSampler(seed=seed, n_startup_trials=settings.startup_trials)


def _nsga2(settings: Sampler, seed: int) -> BaseSampler:
    return NSGAIISampler(seed=seed, population_size=settings.population)


def _random(_: Sampler, seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


SAMPLERS: dict[str, Callable[[Sampler, int], BaseSampler]] = {"tpe": _tpe, "gp": _gp, "nsga2": _nsga2, "random": _random}


def search_sampler(sweep: Sweep) -> BaseSampler:
    """The sampler of a search."""
    settings = sweep.sampler or Sampler(kind="nsga2" if len(sweep.metrics) > 1 else "tpe")
    return Reseeded(lambda seed: SAMPLERS[settings.kind](settings, seed), settings.seed)


def pruner_of(sweep: Sweep, steps: int) -> BasePruner:
    """The pruner of a sweep.

    Args:
        sweep: The sweep.
        steps: Optimiser steps of a trial's longest run, times the trial's runs.
    """
    settings = sweep.pruner
    if isinstance(settings, Median):
        return MedianPruner(n_startup_trials=settings.startup_trials, n_warmup_steps=settings.warmup_steps)
    if isinstance(settings, Hyperband):
        return HyperbandPruner(
            min_resource=settings.min_steps, max_resource=steps, reduction_factor=settings.reduction_factor
        )  # fmt: skip
    return NopPruner()
