"""Measure a network at evaluation points: its predictions, then the measures that the experiment names.

Metrics of a variant of the task have its name and a colon before theirs; those with the answer hidden, of a model trained so,
have `teacherless:`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import torch

from lab.config import Experiment
from lab.config.evaluation import MEASURES
from lab.errors import LabError
from lab.evaluation.batch import EVALUATION_SEED, EvaluationBatch, to_evaluation_batch
from lab.evaluation.measures import Measure
from lab.evaluation.points import every_nth_point
from lab.evaluation.predictions import measure_predictions
from lab.evaluation.state import evaluation_mode, zero_weights
from lab.metrics import NEXT_TOKEN_LOSS, TEACHERLESS, in_variant
from lab.model import Network
from lab.registry import load_object
from tasks import Task
from tasks.errors import nearest


class Evaluator:
    """Measures a network on fixed sequences of a task and of its variants."""

    def __init__(self, experiment: Experiment, device: torch.device | str = "cpu") -> None:
        """Draw the sequences and load the measures.

        Raises:
            LabError: If a measure cannot be imported.
        """
        self._variants, self._hidden = draw_variants(experiment, device), draw_hidden(experiment, device)
        every = experiment.evaluation.measures
        self._measures = {
            name: (measure, every_nth_point(experiment, every[name])) for name, measure in load_measures(experiment).items()
        }

    @torch.no_grad()
    def __call__(
        self,
        network: Network,
        step: int = 0,
        training: Mapping[str, float] | None = None,
        experiment: Experiment | None = None,
    ) -> dict[str, float]:
        """Measure a network.

        Args:
            network: The network; its mode and weights are left as they are.
            step: Optimiser steps done.
            training: Metrics of the training steps since the last evaluation point.
            experiment: The network's own, where members of an ensemble that differ in the seed share an evaluator.

        Returns:
            Every metric by its name, losses in nats. All are NaN if a weight or a logit is not finite.

        Raises:
            LabError: If two measures give a metric of the same name.
        """
        own: dict[str, Any] = {"step": step, "training": training or {}}
        own |= {} if experiment is None else {"experiment": experiment}
        batches = {variant: replace(batch, **own) for variant, batch in self._variants.items()}
        measures = {name: measure for name, (measure, points) in self._measures.items() if step in points}
        with evaluation_mode(network):
            values = predict(network, batches | self._hidden)
            if math.isfinite(values[NEXT_TOKEN_LOSS]):
                return values | apply_measures(measures, network, batches, taken=values)
            with zero_weights(network):  # its metrics have the same names
                values |= apply_measures(measures, network, batches, taken=values)
            return {name: (training or {}).get(name, math.nan) for name in values}


def draw_variants(experiment: Experiment, device: torch.device | str = "cpu") -> dict[str, EvaluationBatch]:
    """Draw the sequences of an experiment's task ("") and of its variants, by name."""
    tasks = {"": experiment.task, **experiment.task.variants()}
    return {name: _draw(experiment, task, device, variant=name) for name, task in tasks.items()}


def draw_hidden(experiment: Experiment, device: torch.device | str = "cpu") -> dict[str, EvaluationBatch]:
    """Draw the sequences with the answer hidden; none of an experiment that is not teacherless."""
    if not experiment.objective.teacherless:
        return {}
    return {TEACHERLESS: _draw(experiment, experiment.task, device, hidden=True)}


def _draw(experiment: Experiment, task: Task, device: torch.device | str, **how: Any) -> EvaluationBatch:
    settings = experiment.evaluation
    batch = task.batch(EVALUATION_SEED, 0, settings.examples, settings.split)
    return to_evaluation_batch(experiment, task, batch, device, **how)


def predict(network: Network, batches: Mapping[str, EvaluationBatch]) -> dict[str, float]:
    """Measure predictions on the sequences of each variant."""
    values: dict[str, float] = {}
    for variant, batch in batches.items():
        values |= {in_variant(variant, name): value for name, value in measure_predictions(network, batch).items()}
    return values


def apply_measures(
    measures: Mapping[str, Measure],
    network: Network,
    batches: Mapping[str, EvaluationBatch],
    taken: Collection[str] = (),
) -> dict[str, float]:
    """Apply measures to the sequences of each variant.

    Args:
        measures: By name.
        network: In evaluation mode.
        batches: By variant.
        taken: Names that other metrics have.

    Raises:
        LabError: If two measures give a metric of the same name.
    """
    values: dict[str, float] = {}
    for name, measure in measures.items():
        for variant, batch in batches.items():
            found = {in_variant(variant, metric): float(value) for metric, value in measure(network, batch).items()}
            if twice := found.keys() & {*values, *taken}:
                raise LabError(f"evaluation.measures {name}: {min(twice)} is a metric of another measure as well")
            values |= found
    return values


def load_measures(experiment: Experiment) -> dict[str, Measure]:
    """Load the measures that an experiment takes, by name.

    Raises:
        LabError: If one cannot be imported or is no function.
    """
    return {name: load_measure(name) for name, every in experiment.evaluation.measures.items() if every}


def load_measure(name: str) -> Measure:
    """Load a measure by its name in `MEASURES`, or a user's own by `module:function`.

    Raises:
        LabError: If it is unknown, cannot be imported or is no function.
    """
    if name not in MEASURES and ":" not in name:
        raise LabError(f"unknown measure {name!r}; {nearest(name, MEASURES)} (or module:function)")
    measure: Measure = load_object(MEASURES[name].path if name in MEASURES else name, "evaluation.measures")
    if not callable(measure):
        raise LabError(f"evaluation.measures {name!r} is not a function of a network and a batch")
    return measure
