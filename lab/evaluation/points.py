"""The steps at which an experiment is measured, and those whose weights it keeps."""

from __future__ import annotations

from lab.config import Experiment


def points_of(experiment: Experiment) -> list[int]:
    """List the steps at which an experiment is measured."""
    return experiment.evaluation.points(experiment.steps)


def every_nth_point(experiment: Experiment, every: int) -> set[int]:
    """Return every n-th evaluation point of an experiment from step 0 on, and the last."""
    points = points_of(experiment)
    return {*points[::every], points[-1]}


def kept_points(experiment: Experiment) -> list[int]:
    """List the steps whose weights an experiment keeps, with the last step."""
    return experiment.checkpoint.kept_points(experiment.evaluation, experiment.steps)
