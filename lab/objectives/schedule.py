"""How much each prediction head counts in the objective, and when: plain rules, no tensors.

A new rule is one function here, one line in `WEIGHTS`, and its name in `ObjectiveSettings.weights`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from lab.config import Experiment


class Stage(NamedTuple):
    """A stretch of training with the same weights.

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
        """The prediction heads, counted from 1, that have weight."""
        return tuple(head for head, weight in enumerate(self.weights, start=1) if weight)


def uniform(n: int, extra: float) -> list[float]:
    """1 for head 1 and the extra weight for each further one; the paper's plain sum at 1."""
    return [1.0] + [extra] * (n - 1)


def mean(n: int, extra: float) -> list[float]:
    """The next-token loss plus the extra weight times the further heads' mean (lambda of DeepSeek-V3, section 2.2)."""
    return [1.0] + [extra / (n - 1)] * (n - 1) if n > 1 else [1.0]


def decay(n: int, extra: float) -> list[float]:
    """Geometric: each head counts the extra weight times the one before it (as in Medusa, Cai et al. 2024)."""
    return [extra**i for i in range(n)]


def far(n: int, extra: float) -> list[float]:
    """Head 1 and the farthest head alone."""
    return [1.0] + [0.0] * (n - 2) + [extra] if n > 1 else [1.0]


WEIGHTS: dict[str, Callable[[int, float], list[float]]] = {"uniform": uniform, "mean": mean, "decay": decay, "far": far}


def plan(experiment: Experiment) -> list[Stage]:
    """The stages of an experiment's training, in order; the first begins at step 0."""
    settings, n = experiment.objective, experiment.n_future
    rule = settings.weights
    weights = list(rule) if not isinstance(rule, str) else WEIGHTS[rule](n, settings.extra_weight)
    return [
        Stage(step, tuple(weight if head < heads else 0.0 for head, weight in enumerate(weights)))
        for step, heads in _active(settings.active, n, experiment.steps)
    ]


def stage_at(stages: Sequence[Stage], step: int) -> int:
    """Which stage an optimiser step, counted from 0, belongs to."""
    return max(number for number, stage in enumerate(stages) if stage.step <= step)


def _active(active: str | Sequence[tuple[int, int]], n: int, steps: int) -> list[tuple[int, int]]:
    """(step, heads): from the step on, the first so many heads are trained. A curriculum gives each number of heads its equal
    part of the steps.
    """
    if active == "all":
        return [(0, n)]
    if not isinstance(active, str):
        return list(active)
    numbers = range(1, n + 1) if active == "up" else range(n, 0, -1)
    return [(steps * part // n, heads) for part, heads in enumerate(numbers)]
