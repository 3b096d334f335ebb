"""Optimiser steps at a budget equal to that of n = 1, in FLOPs or wall time."""

from __future__ import annotations

from typing import Any

from lab.config.experiment import Experiment
from lab.config.files import override
from lab.errors import LabError


def resolve(experiment: Experiment) -> Experiment:
    """Return the experiment with the steps that its budget pays for, if `model.matched` is `flops` or `time`.

    `steps` moves to `budget.steps`, and the affordable steps replace it; the schedule's end and the evaluation points follow,
    warm-up keeps its steps unless it is the default, which may be too long. FLOPs are counted exactly (`cost.flops_per_token`),
    of training alone. A resolved experiment, or one without a budget, is returned unchanged.

    Raises:
        LabError: If wall times are to be equal and `budget.step_time` is unknown (`lab.with_step_time` measures it), or if
            too few steps are left for the schedule.
    """
    if experiment.model.matched not in ("flops", "time") or experiment.budget.steps is not None:
        return experiment
    if needs_step_time(experiment):
        raise LabError(
            "budget.step_time must be a number with model.matched time: a step's time against n = 1's (lab.with_step_time)"
        )
    budget = experiment.budget.model_copy(update={"steps": experiment.steps})
    steps = experiment.model_copy(update={"budget": budget}).affordable_steps
    return override(experiment, {"budget.steps": experiment.steps, "steps": steps})


def needs_step_time(experiment: Experiment) -> bool:
    """Return whether the time of a step relative to n = 1 has to be measured before the steps are known."""
    unknown = experiment.budget.steps is None and experiment.budget.step_time is None
    return experiment.model.matched == "time" and not experiment.is_next_token and unknown


def timed_settings(experiment: Experiment, steps: int) -> dict[str, Any]:
    """Return the settings that train an experiment's network for a few steps to time them.

    All its losses are active, no run ends early, the network is kept and a budget dropped.
    """
    short = {
        "steps": steps,
        "schedule.warmup_steps": 0,
        "checkpoint.keep": "none",
        "evaluation.stop.metric": None,
        "objective.active": "all",
        "objective.stages": None,
    }
    if experiment.model.matched not in ("flops", "time"):
        return short
    return short | {"model.matched": "none", "budget.steps": None, "budget.step_time": None}
