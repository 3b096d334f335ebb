"""The plan of the study: for each task the runs that choose a rate for each condition, then those that are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lab.reproduce import Stage, fixed_stage
from lab.reproduce.comparison.plan import CONDITION, condition_of, in_folders
from lab.reproduce.objectives.conditions import (
    BENCHES,
    CONDITIONS,
    SCALES,
    SEEDS,
    TUNING_SEEDS,
    conditions_of,
    family_of,
)
from lab.runs import Run, frame
from lab.stats.configurations import tuning_values
from lab.stats.emergence import emergence_table
from lab.sweeping import Sweep
from lab.sweeping.spec.files import from_mapping

RATE = "optimiser.peak_lr"


def stages(scale: str) -> list[Stage]:
    """Return two stages for each task of a scale: the choice of rates, and the comparison."""
    return [stage for task in SCALES[scale] for stage in _stages_of(task)]


def _stages_of(task: str) -> list[Stage]:
    conditions, rates = conditions_of(task), BENCHES[task].rates
    tuning = sweep_of(task, "-rates", {CONDITION: in_folders(conditions), RATE: [*rates]}, TUNING_SEEDS)

    def compare(chosen: Mapping[str, float]) -> Sweep:
        own = {name: {**settings, RATE: chosen[name]} for name, settings in conditions.items()}
        return sweep_of(task, "", {CONDITION: in_folders(own)}, SEEDS, **{"evaluation.split": "test"})

    anything = dict.fromkeys(conditions, rates[0])
    main = Stage(compare(anything), lambda tuned: compare(best_rates(rate_values(task, tuned))))
    return [fixed_stage(tuning, tunes=True), main]


def sweep_of(task: str, name: str, grid: Mapping[str, Any], seeds: Sequence[int], **more: Any) -> Sweep:
    """Return a sweep of a task with its settings."""
    family = family_of(task)
    base = {**family.settings, **family.stop, **more}
    described = {"name": f"objectives-{task}{name}", "base": base, "grid": grid, "seeds": [*seeds]}
    return from_mapping({**described, "metrics": {family.metric: "maximise"}})


def named_frame(task: str, runs: Sequence[Run]) -> pd.DataFrame:
    """Return the frame of a task's metrics with the condition of each run, and its FLOPs against those of the next token."""
    bench, rows = BENCHES[task], frame(runs)
    rows = rows[rows["metric"].isin([bench.metric, *(bench.stepping_stone or ())[:1]])]
    conditions = {run.name: condition_of(CONDITIONS, run.name) for run in runs}
    flops = {run.name: run.experiment.flops_per_step for run in runs}
    plain = next(flops[name] for name, condition in conditions.items() if condition == next(iter(conditions_of(task))))
    cost = {name: each / plain for name, each in flops.items()}
    return rows.assign(condition=rows["run"].map(conditions), cost=rows["run"].map(cost))


def rate_values(task: str, tuned: Sequence[Run]) -> pd.DataFrame:
    """Return the tuning runs of a task: `condition`, the rate, `seed`, `time` in tokens until solved, `value` at the end.

    A run that does not solve the task has the tokens at its end; so has every run of a task without a threshold. A run that
    diverged has an infinite time, and no value.
    """
    bench, rows = BENCHES[task], named_frame(task, tuned)
    by = [CONDITION, RATE]
    ends = tuning_values(rows, bench.metric)[[*by, "seed", "value"]]
    threshold = {"time": 2.0 if bench.solved is None else bench.solved}  # no accuracy passes 2
    times = emergence_table(rows, bench.metric, thresholds=threshold, by=by)[[*by, "seed", "time"]]
    found = times.merge(ends, on=[*by, "seed"])
    return found.assign(time=found["time"].where(found["value"].notna(), np.inf))


def best_rates(values: pd.DataFrame) -> dict[str, float]:
    """Return the rate of each condition with the least geometric mean of times, and of equal ones the best mean at the end.

    A rate at which a run diverged is not the best.
    """
    means = values.assign(time=np.log(values["time"]).round(9), value=-values["value"]).groupby([CONDITION, RATE])
    ordered = means[["time", "value"]].mean().reset_index().sort_values(["time", "value", RATE])
    return {str(name): float(part[RATE].iloc[0]) for name, part in ordered.groupby(CONDITION)}
