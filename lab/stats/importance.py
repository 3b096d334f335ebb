"""Which of the varied settings decides what a cell reaches, by Optuna's PED-ANOVA."""

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

FEWEST_CELLS = 8
SHUFFLES, LEVEL = 100, 0.95
_TOP_SHARE, _TOP_CELLS = 0.25, 5
"""The best cells that are compared with all: so large a share, but not fewer (if half of all cells are that many). Of Optuna's
default, a tenth, chance alone makes more than a setting that decides everything, where a study has some tens of cells."""


def importance_table(cells: pd.DataFrame, settings: Sequence[str], *, lower_is_better: bool = False) -> pd.DataFrame:
    """How far the settings of the best cells differ from those of all cells.

    PED-ANOVA (Watanabe, Bansal and Hutter 2023, arXiv 2304.10255): the Pearson divergence between the density of a setting's
    values among the best quarter of the cells and among all of them. It says what it takes to be among the best, not how much
    of the variance a setting explains, and it never is exactly 0: `chance` is what values without any relation to the settings
    give, so a setting below it has not been shown to matter. The unit is the cell, not the run: runs that differ in the seed
    alone are no independent evidence about settings.

    Args:
        cells: One row for each cell with its `mean` over seeds and the settings (see `cell_table`); what a cell does not have
            is missing.
        settings: Columns.
        lower_is_better: Whether the least values are the best, as of a loss.

    Returns:
        `setting`, `importance` (shares of 1), `chance` (on the same scale: the 95 % quantile over 100 shuffles of the means
        among the cells), `cells`, sorted from the most important.

    Raises:
        LabError: If there are fewer than 8 cells.
    """
    if len(cells) < FEWEST_CELLS:
        raise LabError(f"importance needs at least {FEWEST_CELLS} cells, not {len(cells)}")
    params, distributions = _params(cells, settings)
    reached = cells["mean"].to_numpy(float) * (1 if lower_is_better else -1)
    found = _importances(params, distributions, reached)
    rng = np.random.default_rng(0)
    shuffled = [_importances(params, distributions, rng.permutation(reached)) for _ in range(SHUFFLES)]
    whole = sum(found.values()) or 1.0
    table = pd.DataFrame(
        {
            "setting": list(settings),
            "importance": [found[name] / whole for name in settings],
            "chance": [float(np.quantile([each[name] for each in shuffled], LEVEL)) / whole for name in settings],
            "cells": len(cells),
        }
    )
    return table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)


def _importances(
    params: Sequence[Params], distributions: Sequence[dict[str, BaseDistribution]], reached: np.ndarray
) -> dict[str, float]:
    """PED-ANOVA's divergences, not normalised."""
    study = optuna.create_study(direction="minimize")
    study.add_trials(
        optuna.create_trial(params=own, distributions=theirs, value=float(value))
        for own, theirs, value in zip(params, distributions, reached, strict=True)
    )
    evaluator = PedAnovaImportanceEvaluator(target_quantile=min(0.5, max(_TOP_SHARE, _TOP_CELLS / len(reached))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of `normalize`
        return get_param_importances(study, evaluator=evaluator, normalize=False)


def _params(cells: pd.DataFrame, settings: Sequence[str]) -> tuple[list[Params], list[dict[str, BaseDistribution]]]:
    """Each cell's settings and what they could have been."""
    columns = {name: _levels(cells[name]) for name in settings}
    spaces = {name: _distribution(column) for name, column in columns.items()}
    rows = zip(*columns.values(), strict=True)
    params = [{name: value for name, value in zip(columns, row, strict=True) if value is not None} for row in rows]
    return params, [{name: spaces[name] for name in own} for own in params]


def _levels(column: pd.Series) -> list[str | float | None]:
    """A column's values as Optuna takes them; None where there is none."""
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
