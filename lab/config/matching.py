"""From "as much as n = 1 spends" to a number of optimiser steps."""

from __future__ import annotations

from typing import Any

from lab.config.experiment import Experiment
from lab.config.files import override
from lab.errors import LabError


def resolve(experiment: Experiment) -> Experiment:
    """An experiment whose steps are stated: where it is matched with n = 1 in FLOPs or time, as many as that budget pays for.

    `steps` becomes `budget.steps`, and the steps that follow take its place; with them the schedule's end and the evaluation
    points. Warm-up keeps its steps. FLOPs are counted exactly (`cost.flops_per_token`), training alone. Resolving again
    changes nothing, nor does it where nothing is to be resolved.

    Raises:
        LabError: If wall times are to be equal and `budget.step_time` is unknown (`lab.with_step_time` measures it), or if the
            steps that are left are too few for the schedule.
    """
    if experiment.model.matched not in ("flops", "time") or experiment.budget.steps is not None:
        return experiment
    if not_measured(experiment):
        raise LabError(
            "budget.step_time must be a number with model.matched time: a step's time against n = 1's (lab.with_step_time)"
        )
    budget = experiment.budget.model_copy(update={"steps": experiment.steps})
    steps = experiment.model_copy(update={"budget": budget}).affordable_steps
    return override(experiment, {"budget.steps": experiment.steps, "steps": steps})


def not_measured(experiment: Experiment) -> bool:
    """Whether the time of a step against n = 1's has to be measured before the steps are known."""
    unknown = experiment.budget.steps is None and experiment.budget.step_time is None
    return experiment.model.matched == "time" and experiment.n_future > 1 and unknown


def unbudgeted(experiment: Experiment) -> dict[str, Any]:
    """Settings that keep an experiment's network and drop its budget, so that a trial of a few steps can be made of it."""
    if experiment.model.matched not in ("flops", "time"):
        return {}
    return {"model.matched": "none", "budget.steps": None, "budget.step_time": None}
