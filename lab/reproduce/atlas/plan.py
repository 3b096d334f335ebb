"""The plan of the atlas: one sweep for each task, so that the study can be run task by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lab.config import experiment
from lab.metrics import Metric
from lab.reproduce import Stage, fixed_stage
from lab.reproduce.atlas.rule import RULE
from lab.runs import Run, frame
from lab.runs.names import headline
from lab.sweeping import Sweep
from lab.sweeping.spec.files import from_mapping

CONDITION = "condition"
ONE = "n = 1"
EQUAL: Mapping[str, str] = {"layers": "equal depth", "parameters": "equal parameters"}
"""Values of `model.matched` in words. n = 1 is the same network in both, and is trained once."""
SHARED: Mapping[str, Any] = {
    "model.layers": 6,
    "evaluation.split": "test",
    "evaluation.measures.induction": 0,
    "compile": "default",
}
"""Beside each task's default settings; with 6 layers a next-token path of 3 remains for n = 4 at equal parameters."""
STEPS: Mapping[str, int] = {"agreement": 1000, "recall": 600, "belief": 300}
"""Steps of tasks that are learnt long before their default runs end (docs/tasks.md); the others have the default."""
SEEDS = range(580, 588)
WITHOUT_FOUR: Mapping[str, str] = {
    "discovery": "a sequence has four tokens",
    "modular": "heads 3 and 4 would be asked for the answer before the second operand",
}
"""Tasks without n = 4, and why."""
SCALES: Mapping[str, tuple[str, ...]] = {"laptop": tuple(RULE)} | {task: (task,) for task in RULE}
"""Tasks of each scale: all, or one, whose runs the whole study shares."""


def condition(n_future: int, matched: str) -> str:
    """Return the name of a condition, as `n = 2, equal depth`."""
    return ONE if n_future == 1 else f"n = {n_future}, {EQUAL[matched]}"


COMPARED = tuple(condition(n, matched) for matched in EQUAL for n in (2, 4))
"""The conditions that are compared with `ONE`, in the order of tables and figure."""


def conditions_of(task: str) -> dict[str, dict[str, Any]]:
    """Return the settings of each condition of a task by the name of its folder."""
    counts = (2,) if task in WITHOUT_FOUR else (2, 4)
    further = {f"n{n}-{matched}": {"n_future": n, "model.matched": matched} for matched in EQUAL for n in counts}
    return {"n1": {"n_future": 1}, **further}


def stages(scale: str) -> list[Stage]:
    """Return the sweep of each task of a scale."""
    return [fixed_stage(sweep_of(task)) for task in SCALES[scale]]


def sweep_of(task: str) -> Sweep:
    """Return the sweep of a task."""
    metric = headline(experiment(task))
    direction = "minimise" if Metric.parse(metric).lower_is_better else "maximise"
    grid = {CONDITION: conditions_of(task)}
    base = {"task": task, **SHARED, **({"steps": STEPS[task]} if task in STEPS else {})}
    described = {"name": f"atlas-{task}", "base": base, "grid": grid, "seeds": [*SEEDS]}
    return from_mapping({**described, "metrics": {metric: direction}})


def named_frame(task: str, runs: Sequence[Run]) -> pd.DataFrame:
    """Return the frame of a task's headline metric.

    Returns:
        Columns `task`, `condition`, `cost` (FLOPs of a step against those of n = 1), `run`, `seed`, `state`, `step`, `tokens`,
        `metric` and `value`.
    """
    experiments = {run.name: run.experiment for run in runs}
    plain = next(each.flops_per_step for each in experiments.values() if each.n_future == 1)
    rows = frame(runs)
    rows = rows[rows["metric"] == headline(runs[0].experiment)]
    named = rows.assign(
        task=task,
        condition=[condition(experiments[name].n_future, experiments[name].model.matched) for name in rows["run"]],
        cost=[experiments[name].flops_per_step / plain for name in rows["run"]],
    )
    return named[["task", CONDITION, "cost", "run", "seed", "state", "step", "tokens", "metric", "value"]]
