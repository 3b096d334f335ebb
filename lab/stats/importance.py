"""The importance of varied settings for the result of a configuration, by Optuna's PED-ANOVA."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from lab.errors import LabError
from lab.stats.configurations import is_logarithmic, is_range

Params = dict[str, str | float]

optuna.logging.set_verbosity(optuna.logging.ERROR)

FEWEST_CONFIGURATIONS = 8
SHUFFLES, LEVEL = 100, 0.95
_TOP_SHARE, _TOP_CONFIGURATIONS = 0.25, 5
"""The best configurations, which are compared with all: their share, and their least number (if half of all are as many). With
Optuna's default share of a tenth, chance alone gives more than a decisive setting where a sweep has tens of configurations."""


def importance_table(configurations: pd.DataFrame, settings: Sequence[str], *, lower_is_better: bool = False) -> pd.DataFrame:
    """Measure how far the settings of the best configurations differ from those of all.

    PED-ANOVA (Watanabe, Bansal and Hutter 2023, arXiv 2304.10255): the Pearson divergence between the density of a setting's
    values among the best quarter of the configurations and among all. It shows which settings the best ones have, not how much
    of the variance a setting explains, and it is never exactly 0: `chance` is the importance under permutation, and a setting
    below it has not been shown to matter. The unit is the configuration, not the run: runs that differ in the seed alone are
    not independent evidence about settings.

    Args:
        configurations: One row for each with its `mean` over seeds and its settings (see `configuration_table`), which may be
            missing.
        settings: Columns.
        lower_is_better: Whether the least values are the best, as of a loss.

    Returns:
        `setting`, `importance` (shares of 1), `chance` (on the same scale: the 95 % quantile over 100 shuffles of the means
        among the configurations), `cells` (their number), sorted from the most important.

    Raises:
        LabError: If there are fewer than 8 configurations, or all have the same mean.
    """
    if len(configurations) < FEWEST_CONFIGURATIONS:
        raise LabError(f"importance needs at least {FEWEST_CONFIGURATIONS} configurations, not {len(configurations)}")
    if configurations["mean"].nunique() == 1:
        raise LabError(f"all {len(configurations)} configurations have the same value, so that none is among the best")
    params, distributions = _params(configurations, settings)
    reached = configurations["mean"].to_numpy(float) * (1 if lower_is_better else -1)
    found = _importances(params, distributions, reached)
    rng = np.random.default_rng(0)
    shuffled = [_importances(params, distributions, rng.permutation(reached)) for _ in range(SHUFFLES)]
    whole = sum(found.values()) or 1.0
    table = pd.DataFrame(
        {
            "setting": list(settings),
            "importance": [found[name] / whole for name in settings],
            "chance": [float(np.quantile([each[name] for each in shuffled], LEVEL)) / whole for name in settings],
            "cells": len(configurations),
        }
    )
    return table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)


def _importances(
    params: Sequence[Params], distributions: Sequence[dict[str, BaseDistribution]], reached: np.ndarray
) -> dict[str, float]:
    """Compute the divergences of PED-ANOVA, not normalised."""
    study = optuna.create_study(direction="minimize")
    study.add_trials(
        optuna.create_trial(params=own, distributions=theirs, value=float(value))
        for own, theirs, value in zip(params, distributions, reached, strict=True)
    )
    evaluator = PedAnovaImportanceEvaluator(target_quantile=min(0.5, max(_TOP_SHARE, _TOP_CONFIGURATIONS / len(reached))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of `normalize`
        return get_param_importances(study, evaluator=evaluator, normalize=False)


def _params(configurations: pd.DataFrame, settings: Sequence[str]) -> tuple[list[Params], list[dict[str, BaseDistribution]]]:
    """Return the settings of each configuration and their distributions, as Optuna has them."""
    columns = {name: _levels(configurations[name]) for name in settings}
    spaces = {name: _distribution(column) for name, column in columns.items()}
    rows = zip(*columns.values(), strict=True)
    params = [{name: value for name, value in zip(columns, row, strict=True) if value is not None} for row in rows]
    return params, [{name: spaces[name] for name in own} for own in params]


def _levels(column: pd.Series) -> list[str | float | None]:
    """Return a column's values as Optuna takes them; None where one is missing."""
    missing = column.isna().tolist()
    ranged = is_range(column)
    return [
        None if gone else float(value) if ranged else str(value) for value, gone in zip(column.tolist(), missing, strict=True)
    ]


def _distribution(column: Sequence[str | float | None]) -> BaseDistribution:
    present = [value for value in column if value is not None]
    numbers = [value for value in present if isinstance(value, float)]
    if not numbers:
        return CategoricalDistribution(sorted({str(value) for value in present}))
    low, high = min(numbers), max(numbers)
    return FloatDistribution(low, high, log=is_logarithmic(low, high))
