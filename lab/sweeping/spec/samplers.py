"""Optuna's samplers and pruners, whose choices do not depend on stops of the sweep."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution as Distribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from lab.sweeping.spec.description import Hyperband, Median, Sampler, Sweep

Space = dict[str, Distribution]
Values = Sequence[float] | None


class ReseededSampler(BaseSampler):
    """A new sampler for each trial, seeded by the trial's number, and for each parameter that is sampled on its own.

    Its choices are a function of the seed, the number, the parameter's name and the earlier trials, all of which the storage
    holds. One sampler for all of them would also depend on what this process has sampled before: a worker that continues a
    lost trial does not sample the parameters that the trial has already.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make, self._seed = make, seed
        self._current: tuple[int, BaseSampler] | None = None

    def _for(self, trial: FrozenTrial) -> BaseSampler:
        if self._current is None or self._current[0] != trial.number:
            self._current = trial.number, self._seeded(trial.number)
        return self._current[1]

    def _seeded(self, *numbers: int) -> BaseSampler:
        (seed,) = np.random.SeedSequence([self._seed, *numbers]).generate_state(1)
        return self._make(int(seed))

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._current = None
        self._for(trial).before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Space:
        return self._for(trial).infer_relative_search_space(study, trial)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Space) -> dict[str, Any]:
        return shared_parameters(trial) or self._for(trial).sample_relative(study, trial, search_space)

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Distribution) -> Any:
        sampler = self._seeded(trial.number, zlib.crc32(param_name.encode()))
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Values) -> None:
        self._for(trial).after_trial(study, trial, state, values)


def shared_parameters(trial: FrozenTrial) -> dict[str, Any]:
    """Return the parameters that Optuna's sampler has chosen together, as it stores them for other workers; {} if none.

    It would count a lost trial that has them as one of another worker, and choose others.
    """
    parts = {key: text for key, text in trial.system_attrs.items() if ":relative_params:" in key}
    ordered = sorted(parts, key=lambda key: int(key.rpartition(":")[2]))
    return dict(json.loads("".join(parts[key] for key in ordered) or "{}"))


class ListSampler(BaseSampler):
    """The parameters of trial k as a function of k.

    Optuna's GridSampler shuffles, so that pairs would be complete only at the end, and may give one configuration to two
    workers after others were lost.
    """

    def __init__(self, params: Callable[[int], dict[str, Any]]) -> None:
        self._params = params

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Space:
        return {}

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Space) -> dict[str, Any]:
        return {}

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Distribution) -> Any:
        return self._params(trial.number)[param_name]


SAMPLERS: dict[str, Callable[[Sampler, int], BaseSampler]] = {
    "tpe": lambda settings, seed: TPESampler(seed=seed, n_startup_trials=settings.startup_trials, constant_liar=True),
    "gp": lambda settings, seed: GPSampler(seed=seed, n_startup_trials=settings.startup_trials),
    "nsga2": lambda settings, seed: NSGAIISampler(seed=seed, population_size=settings.population),
    "random": lambda _, seed: RandomSampler(seed=seed),
}


def search_sampler(sweep: Sweep) -> BaseSampler:
    """Return the sampler of a search."""
    settings = sweep.sampler or Sampler(kind="nsga2" if len(sweep.metrics) > 1 else "tpe")
    return ReseededSampler(lambda seed: SAMPLERS[settings.kind](settings, seed), settings.seed)


def pruner_of(sweep: Sweep, steps: int) -> BasePruner:
    """Return the pruner of a sweep.

    Args:
        sweep: The sweep.
        steps: Optimiser steps of a trial: those of its longest run times the number of its runs.
    """
    settings = sweep.pruner
    if isinstance(settings, Median):
        return MedianPruner(n_startup_trials=settings.startup_trials, n_warmup_steps=settings.warmup_steps)
    if isinstance(settings, Hyperband):
        return HyperbandPruner(settings.min_steps, steps, settings.reduction_factor)
    return NopPruner()
