"""The plan of a study that compares conditions: one sweep for each family, and its frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lab.reproduce import Stage, fixed_stage
from lab.reproduce.comparison.configuration import Comparison, Family, folder_name
from lab.runs import Run, frame
from lab.sweeping import Sweep
from lab.sweeping.spec.files import from_mapping

FAMILY, CONDITION = "family", "condition"
COLUMNS = ["task", FAMILY, CONDITION, "cost", "run", "seed", "state", "reached", "step", "tokens", "metric", "value"]
"""Columns of a study's frame."""


def stages(comparison: Comparison, scale: str) -> list[Stage]:
    """Return the sweep of each family of a scale."""
    return [fixed_stage(sweep_of(comparison, name)) for name in comparison.scales[scale]]


def sweep_of(comparison: Comparison, name: str) -> Sweep:
    """Return the sweep of a family."""
    family = comparison.families[name]
    return from_mapping(
        {
            "name": f"{comparison.name}-{folder_name(name)}",
            "base": {**family.settings, **family.stop, "evaluation.split": comparison.split},
            "grid": {CONDITION: in_folders(family.conditions)},
            "seeds": [*comparison.seeds],
            "metrics": {family.metric: "maximise"},
        }
    )


def in_folders(conditions: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return conditions as labels of a sweep's axis: settings by the name in names of run folders."""
    return {folder_name(name): dict(settings) for name, settings in conditions.items()}


def condition_of(conditions: Mapping[str, object], run_name: str) -> str:
    """Return the condition in the name of a run's folder."""
    folders = {folder_name(name): name for name in conditions}
    return folders[max((folder for folder in folders if run_name.startswith(f"{folder}-")), key=len)]


def named_frame(name: str, family: Family, runs: Sequence[Run]) -> pd.DataFrame:
    """Return the frame of a family's metric.

    Returns:
        `COLUMNS`; `cost` are the FLOPs of a step against those of the baseline.
    """
    conditions = {run.name: condition_of(family.conditions, run.name) for run in runs}
    flops = {run.name: run.experiment.flops_per_step for run in runs}
    plain = next(flops[run] for run, condition in conditions.items() if condition == family.reference)
    rows = frame(runs)
    rows = rows[rows["metric"] == family.metric]
    rows = rows.assign(condition=rows["run"].map(conditions), cost=rows["run"].map(flops) / plain)
    return rows.assign(**{FAMILY: name}).reindex(columns=COLUMNS)
