"""The settings of the objective: the targets of each prediction head, the weight of its loss, and when it is trained."""

from __future__ import annotations

import sys
from collections.abc import Callable
from numbers import Real
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from lab.config.settings import Settings, to_whole
from lab.config.terms import ALL, Terms
from tasks import Task

OBJECTIVES = {
    "sum": "lab.objectives.kinds:SUM",
    "shuffled": "lab.objectives.kinds:SHUFFLED",
    "bag": "lab.objectives.kinds:BAG",
    "order": "lab.objectives.kinds:ORDER",
}
"""Objectives by name: where each is defined."""
CURRICULA = ("all", "up", "down")


def uniform(n: int, extra: float) -> list[float]:
    """Weight head 1 with 1 and each further head with the extra weight; at 1 the paper's plain sum."""
    return [1.0] + [extra] * (n - 1)


def mean(n: int, extra: float) -> list[float]:
    """Add the extra weight times the mean of the further heads (lambda of DeepSeek-V3, arXiv 2412.19437, section 2.2)."""
    return [1.0] + [extra / (n - 1)] * (n - 1) if n > 1 else [1.0]


def decay(n: int, extra: float) -> list[float]:
    """Weight each head with the extra weight times that of the head before it (as Medusa, Cai et al. 2024)."""
    return [extra**i for i in range(n)]


def far(n: int, extra: float) -> list[float]:
    """Weight head 1 and the farthest head alone."""
    return [1.0] + [0.0] * (n - 2) + [extra] if n > 1 else [1.0]


WEIGHTS: dict[str, Callable[[int, float], list[float]]] = {"uniform": uniform, "mean": mean, "decay": decay, "far": far}
"""Rules for the weights of n prediction heads, by name; a new rule is one function and one line."""


def _check_name(value: Any) -> Any:
    if isinstance(value, str) and (value in OBJECTIVES or ":" in value):
        return value
    raise ValueError(f"objective.name must be one of {', '.join(OBJECTIVES)}, or module:Name of your own, not {value!r}")


def _check_weights(value: Any) -> Any:
    """Accept a rule's name, or a list of numbers that begins with head 1's."""
    if isinstance(value, str) and value in WEIGHTS:
        return value
    if not isinstance(value, (list, tuple)) or not all(_is_number(item) and 0 <= item <= sys.float_info.max for item in value):
        raise ValueError(f"objective.weights must be one of {', '.join(WEIGHTS)}, or a list of numbers from 0, not {value!r}")
    if not value or not value[0]:
        raise ValueError(f"objective.weights must begin with head 1's, above 0, not be {list(value)}")
    return tuple(float(item) for item in value)


def _check_active(value: Any) -> Any:
    """Accept a curriculum's name, or a list of [step, heads] whose steps grow from 0."""
    if isinstance(value, str) and value in CURRICULA:
        return value
    pairs = isinstance(value, (list, tuple)) and all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in value)
    stages = [[to_whole(number) for number in pair] for pair in value] if pairs else []
    if not pairs or not all(type(number) is int for pair in stages for number in pair):
        raise ValueError(f"objective.active must be one of {', '.join(CURRICULA)}, or pairs of [step, heads], not {value!r}")
    steps = [step for step, _ in stages]
    if not steps or steps[0] != 0 or steps != sorted(set(steps)):
        raise ValueError(f"objective.active must have steps that grow from 0, not {steps}")
    return tuple(map(tuple, stages))


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


class ObjectiveSettings(Settings):
    """What is minimised: the sum over prediction heads of weight x mean loss in nats per target. See docs/objectives.md."""

    name: Annotated[str, BeforeValidator(_check_name)] = Field("sum", examples=[*OBJECTIVES, "module:Name"])
    """Targets of prediction heads 2..N. `sum`: token t + i for head i, the paper's; `shuffled`: that of another sequence;
    `bag`: the next `window` tokens without order; `order`: how soon each token comes; or `module:Name` of your own."""
    window: int = Field(4, ge=1)
    """Tokens ahead that `bag` and `order` use."""
    teacherless: bool = False
    """Whether the answer is hidden from the input, so that all of it is predicted from the prompt alone."""
    detached: bool = False
    """Whether heads 2..N send no gradient to the weights that head 1 uses: probes of a next-token model."""
    weights: Annotated[str | tuple[float, ...], BeforeValidator(_check_weights)] = Field(
        "uniform", examples=[*WEIGHTS, "a list"]
    )
    """Weight of each head's loss: a rule, or a list. `uniform`: 1, then extra_weight for each further head; `mean`: 1, then
    extra_weight shared by them; `decay`: extra_weight^(i - 1); `far`: 1, and extra_weight for head N alone."""
    extra_weight: float = Field(1.0, ge=0)
    """Lambda, the number in the rules of `weights`."""
    active: Annotated[str | tuple[tuple[int, int], ...], BeforeValidator(_check_active)] = Field(
        "all", examples=[*CURRICULA, "a list"]
    )
    """Which heads are trained when. `up` and `down`: heads 1..k, with k growing from 1 or falling from N, for an equal share of
    the steps each; a list of [step, k]: heads 1..k from that step on."""
    terms: Terms = Field(ALL, examples=[ALL, "a list"])
    """Terms of the loss: which head is asked for which token, and where; `all`: each head i for token t + i at every position.
    Each is a mapping of `head`, `ahead`, and the roles `target`, `except_target`, `position`, `except_position`."""

    @model_validator(mode="after")
    def _check_extra_weight(self) -> Self:
        if not isinstance(self.weights, str) and self.extra_weight != 1.0:
            raise ValueError("objective.extra_weight is the number of a rule: give it or a list of objective.weights")
        return self

    def asks(self, head: int) -> bool:
        """Return whether the loss has a term of a prediction head, counted from 1."""
        return self.terms is None or any(term.head == head for term in self.terms)

    def check_terms(self, n: int, task: Task, *, teacher_forced: bool) -> None:
        """Raise a ValueError if the terms of the loss do not fit the objective, the prediction heads or the task."""
        if self.terms is None:
            return
        if self.name != "sum":
            raise ValueError(f"objective.terms must be all with objective.name {self.name}: terms ask for single tokens ahead")
        if not self.asks(1):
            raise ValueError("objective.terms must have a term of head 1, the next-token model")
        for term in self.terms:
            term.check(n, task, teacher_forced=teacher_forced)

    def check(self, n: int, steps: int) -> None:
        """Raise a ValueError if the settings do not fit n prediction heads and the number of steps."""
        if not isinstance(self.weights, str) and len(self.weights) != n:
            raise ValueError(f"objective.weights must be {n} numbers, one for each prediction head, not {len(self.weights)}")
        if self.active in ("up", "down") and steps < n:
            raise ValueError(f"steps must be at least {n}, one for each stage of objective.active {self.active}, not {steps}")
        for step, heads in () if isinstance(self.active, str) else self.active:
            if not 1 <= heads <= n:
                raise ValueError(f"objective.active must train between 1 and n_future = {n} heads, not {heads}")
            if step >= steps:
                raise ValueError(f"objective.active must change before steps = {steps}, not at step {step}")
