"""The weight of each loss over training: stages, from the settings of the objective."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lab.config import Experiment
from lab.config.objective import WEIGHTS


class Stage(NamedTuple):
    """A stretch of training in which the weights of the losses are constant or move linearly.

    Attributes:
        step: The optimiser step with which it begins.
        until: The step before which it ends.
        weights: Of each loss at its first step; 0 for one that is not trained.
        end: Of each loss at `until`, which the weights approach.
    """

    step: int
    until: int
    weights: tuple[float, ...]
    end: tuple[float, ...]

    @property
    def first_share(self) -> float:
        """The share of head 1's next-token loss in all weight at its first step."""
        return self.weights[0] / sum(self.weights)

    @property
    def trained(self) -> tuple[int, ...]:
        """The losses, counted from 1, that have weight; those of plain objectives are those of the prediction heads."""
        pairs = zip(self.weights, self.end, strict=True)
        return tuple(number for number, pair in enumerate(pairs, start=1) if any(pair))

    def progress(self, step: int) -> float:
        """Return the share of the stage that is done before an optimiser step, counted from 0."""
        return (step - self.step) / (self.until - self.step)

    def at(self, step: int) -> tuple[float, ...]:
        """Return the weights at an optimiser step, counted from 0."""
        done = self.progress(step)
        return tuple(first + done * (last - first) for first, last in zip(self.weights, self.end, strict=True))


def make_stages(experiment: Experiment) -> list[Stage]:
    """Return the stages of an experiment's training, in order; the first begins at step 0."""
    settings, steps = experiment.objective, experiment.steps
    names = settings.losses(experiment.n_future)
    if settings.stages is not None:
        bounds = [0, *(round(stage.until * steps) for stage in settings.stages)]
        pairs = zip(bounds, bounds[1:], settings.stages, strict=False)
        return [Stage(begin, until, stage.start, stage.end or stage.start) for begin, until, stage in pairs]
    rule = settings.weights
    weights = list(rule) if not isinstance(rule, str) else WEIGHTS[rule](len(names), settings.extra_weight)
    weights = [weight if settings.has_term(number) else 0.0 for number, weight in enumerate(weights, start=1)]

    def first(count: int) -> tuple[float, ...]:
        return tuple(weight if number < count else 0.0 for number, weight in enumerate(weights))

    curriculum = _curriculum(settings.active, len(names), steps)
    bounds = [*(step for step, _ in curriculum), steps]
    fading = settings.active == "fade"
    return [
        Stage(begin, until, first(count), first(max(1, count - 1) if fading else count))
        for begin, until, (_, count) in zip(bounds, bounds[1:], curriculum, strict=False)
    ]


def stage_at(stages: Sequence[Stage], step: int) -> int:
    """Return the index of the stage that an optimiser step, counted from 0, belongs to."""
    return max(number for number, stage in enumerate(stages) if stage.step <= step)


def _curriculum(active: str | Sequence[tuple[int, int]], count: int, steps: int) -> list[tuple[int, int]]:
    """List (step, k): from that step on losses 1..k are trained. A rule gives each k an equal share of the steps."""
    if active == "all":
        return [(0, count)]
    if not isinstance(active, str):
        return list(active)
    numbers = range(1, count + 1) if active == "up" else range(count, 0, -1)
    return [(steps * number // count, trained) for number, trained in enumerate(numbers)]
