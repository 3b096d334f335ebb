"""The weight of each prediction head's loss over training: stages, from the settings of the objective."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lab.config import Experiment
from lab.config.objective import WEIGHTS


class Stage(NamedTuple):
    """A stretch of training with constant weights.

    Attributes:
        step: The optimiser step with which it begins.
        weights: Of each prediction head; 0 for a head that is not trained.
    """

    step: int
    weights: tuple[float, ...]

    @property
    def first_share(self) -> float:
        """Head 1's share of all weight."""
        return self.weights[0] / sum(self.weights)

    @property
    def trained(self) -> tuple[int, ...]:
        """The prediction heads, counted from 1, whose loss has weight."""
        return tuple(head for head, weight in enumerate(self.weights, start=1) if weight)


def make_stages(experiment: Experiment) -> list[Stage]:
    """Return the stages of an experiment's training, in order; the first begins at step 0."""
    settings, n = experiment.objective, experiment.n_future
    rule = settings.weights
    weights = list(rule) if not isinstance(rule, str) else WEIGHTS[rule](n, settings.extra_weight)
    weights = [weight if settings.asks(head) else 0.0 for head, weight in enumerate(weights, start=1)]
    return [
        Stage(step, tuple(weight if head < heads else 0.0 for head, weight in enumerate(weights)))
        for step, heads in _curriculum(settings.active, n, experiment.steps)
    ]


def stage_at(stages: Sequence[Stage], step: int) -> int:
    """Return the index of the stage that an optimiser step, counted from 0, belongs to."""
    return max(number for number, stage in enumerate(stages) if stage.step <= step)


def _curriculum(active: str | Sequence[tuple[int, int]], n: int, steps: int) -> list[tuple[int, int]]:
    """List (step, k): from that step on heads 1..k are trained. `up` and `down` give each k an equal share of the steps."""
    if active == "all":
        return [(0, n)]
    if not isinstance(active, str):
        return list(active)
    numbers = range(1, n + 1) if active == "up" else range(n, 0, -1)
    return [(steps * number // n, heads) for number, heads in enumerate(numbers)]
