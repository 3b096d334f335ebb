"""The settings of the objective: what each prediction head has to predict, how much it counts, and when."""

from __future__ import annotations

import sys
from numbers import Real
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from lab.config.settings import Settings

ARMS = ("sum", "shuffled", "bag", "order")
RULES = ("uniform", "mean", "decay", "far")
CURRICULA = ("all", "up", "down")


def _name(value: Any) -> Any:
    if isinstance(value, str) and (value in ARMS or ":" in value):
        return value
    raise ValueError(f"objective.name must be one of {', '.join(ARMS)}, or module:Name of your own, not {value!r}")


def _weights(value: Any) -> Any:
    """A rule's name, or a tuple of numbers of which the first is head 1's."""
    if isinstance(value, str) and value in RULES:
        return value
    if not isinstance(value, (list, tuple)) or not all(_number(item) and 0 <= item <= sys.float_info.max for item in value):
        raise ValueError(f"objective.weights must be one of {', '.join(RULES)}, or a list of numbers from 0 on, not {value!r}")
    if not value or not value[0]:
        raise ValueError(f"objective.weights must begin with head 1's, above 0, not be {list(value)}")
    return tuple(float(item) for item in value)


def _active(value: Any) -> Any:
    """A curriculum's name, or a tuple of (step, heads) whose steps grow from 0."""
    if isinstance(value, str) and value in CURRICULA:
        return value
    pairs = isinstance(value, (list, tuple)) and all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in value)
    if not pairs or not all(type(number) is int for pair in value for number in pair):
        raise ValueError(f"objective.active must be one of {', '.join(CURRICULA)}, or pairs of [step, heads], not {value!r}")
    steps = [step for step, _ in value]
    if not steps or steps[0] != 0 or steps != sorted(set(steps)):
        raise ValueError(f"objective.active must have steps that grow from 0, not {steps}")
    return tuple(tuple(pair) for pair in value)


def _number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


class ObjectiveSettings(Settings):
    """What is minimised: the sum over prediction heads of weight x mean loss in nats a target. See docs/objectives.md."""

    name: Annotated[str, BeforeValidator(_name)] = Field("sum", examples=[*ARMS, "module:Name"])
    """What prediction heads 2..N have to predict. `sum`: head i token t + i, the paper's; `shuffled`: that of another row;
    `bag`: the next `window` tokens without order; `order`: which token comes how soon; or `module:Name`."""
    window: int = Field(4, ge=1)
    """Tokens ahead that `bag` and `order` look at."""
    teacherless: bool = False
    """Whether the answer's tokens are hidden from the input: all of them are predicted from the prompt alone."""
    detached: bool = False
    """Whether heads 2..N send no gradient to what head 1 computes with: probes of a next-token model."""
    weights: Annotated[str | tuple[float, ...], BeforeValidator(_weights)] = Field("uniform", examples=[*RULES, "a list"])
    """Of each head: a rule, or a list. `uniform`: 1, then extra_weight each; `mean`: 1, then extra_weight shared by all;
    `decay`: extra_weight^(i - 1); `far`: 1, and extra_weight for head N alone."""
    extra_weight: float = Field(1.0, ge=0)
    """Lambda: the number in the rules of `weights`."""
    active: Annotated[str | tuple[tuple[int, int], ...], BeforeValidator(_active)] = Field(
        "all", examples=[*CURRICULA, "a list"]
    )
    """Which heads are trained when. `up` and `down`: heads 1..k, k growing from 1 or falling from N, for an equal part of the
    steps each; a list of [step, k]: from that step on heads 1..k."""

    @model_validator(mode="after")
    def _one_way_to_weigh(self) -> Self:
        if not isinstance(self.weights, str) and self.extra_weight != 1.0:
            raise ValueError("objective.extra_weight is the number of a rule: give it or a list of objective.weights")
        return self

    def check(self, n: int, steps: int) -> None:
        """Refuse what cannot be with so many prediction heads and steps (ValueError)."""
        if not isinstance(self.weights, str) and len(self.weights) != n:
            raise ValueError(f"objective.weights must be {n} numbers, one for each prediction head, not {len(self.weights)}")
        if self.active in ("up", "down") and steps < n:
            raise ValueError(f"steps must be at least {n}, one for each stage of objective.active {self.active}, not {steps}")
        for step, heads in () if isinstance(self.active, str) else self.active:
            if not 1 <= heads <= n:
                raise ValueError(f"objective.active must train between 1 and n_future = {n} heads, not {heads}")
            if step >= steps:
                raise ValueError(f"objective.active must change before steps = {steps}, not at step {step}")
