"""The settings of the objective: the targets of each prediction head, the weight of each loss, and when it is trained."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from lab.config.objective_table import OBJECTIVES, ObjectiveKind, find_objective_kind
from lab.config.settings import Settings, to_whole
from lab.config.terms import ALL, Terms
from tasks import Task

LARGEST_WEIGHT = 1e9
"""Largest weight of a loss, far below those at which gradients are no longer finite."""
CURRICULA = ("all", "up", "down", "fade")


def uniform(n: int, extra: float) -> list[float]:
    """Weight head 1 with 1 and each further loss with the extra weight; at 1 the paper's plain sum."""
    return [1.0] + [extra] * (n - 1)


def mean(n: int, extra: float) -> list[float]:
    """Add the extra weight times the mean of the further losses (lambda of DeepSeek-V3, arXiv 2412.19437, section 2.2)."""
    return [1.0] + [extra / (n - 1)] * (n - 1) if n > 1 else [1.0]


def decay(n: int, extra: float) -> list[float]:
    """Weight each loss with the extra weight times that of the loss before it (as Medusa, Cai et al. 2024)."""
    return [extra**i for i in range(n)]


def far(n: int, extra: float) -> list[float]:
    """Weight head 1 and the last loss alone."""
    return [1.0] + [0.0] * (n - 2) + [extra] if n > 1 else [1.0]


WEIGHTS: dict[str, Callable[[int, float], list[float]]] = {"uniform": uniform, "mean": mean, "decay": decay, "far": far}
"""Rules for the weights of n losses, by name; a new rule is one function and one line."""


def _check_name(value: Any) -> Any:
    if isinstance(value, str) and (value in OBJECTIVES or ":" in value):
        return value
    raise ValueError(f"objective.name must be one of {', '.join(OBJECTIVES)}, or module:Name of your own, not {value!r}")


def _check_weights(value: Any) -> Any:
    """Accept a rule's name, or a list of numbers that begins with head 1's."""
    return value if isinstance(value, str) and value in WEIGHTS else _check_numbers(value, f"one of {', '.join(WEIGHTS)}, or ")


def _check_numbers(value: Any, rules: str = "") -> Any:
    """Accept a list of numbers that begins with head 1's."""
    if not isinstance(value, (list, tuple)) or not all(_is_number(item) and 0 <= item <= LARGEST_WEIGHT for item in value):
        raise PydanticCustomError("numbers", f"{rules}a list of numbers from 0 to {LARGEST_WEIGHT:g}")
    if not value or not value[0]:
        raise PydanticCustomError("numbers", "a list that begins with head 1's weight, above 0")
    return tuple(float(item) for item in value)


def _check_end(value: Any) -> Any:
    """Accept null, or a list of numbers that begins with head 1's."""
    return None if value is None else _check_numbers(value)


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


def _check_teacherless(value: Any) -> Any:
    """Accept true, false, or a probability; 0 is false and 1 is true."""
    if not (isinstance(value, bool) or (_is_number(value) and 0 <= value <= 1)):
        raise ValueError(f"objective.teacherless must be true, false or a probability, not {value!r}")
    return bool(value) if value in (0, 1) else float(value)


def _to_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


class WeightStage(Settings):
    """A stretch of training in which the weights of the losses move linearly from one list to another."""

    until: float = Field(gt=0, le=1)
    """Share of the steps at which the stage ends; that of the last is 1."""
    start: Annotated[tuple[float, ...], BeforeValidator(_check_numbers)]
    """Weight of each loss at the first step of the stage."""
    end: Annotated[tuple[float, ...] | None, BeforeValidator(_check_end)] = None
    """Weights that the stage approaches; null for those of its start."""


class ObjectiveSettings(Settings):
    """What is minimised: a weighted sum of losses in nats per target, one for each prediction head. See docs/objectives.md."""

    name: Annotated[str, BeforeValidator(_check_name)] = Field("sum", examples=[*OBJECTIVES, "module:Name"])
    """Losses beside that of the next token. `sum`: token t + i for head i, the paper's; `shuffled`: that of another sequence;
    docs/objectives.md has the others; or `module:Name` of your own."""
    window: int = Field(4, ge=1)
    """Tokens ahead that objectives with a window use."""
    teacherless: Annotated[bool | float, BeforeValidator(_check_teacherless)] = Field(
        False, examples=["true", "false", "a probability"]
    )
    """Whether the answer is hidden from the input, so that all of it is predicted from the prompt alone; a number hides each of
    its tokens with this probability."""
    detached: bool = False
    """Whether heads 2..N send no gradient to the weights that head 1 uses: probes of a next-token model."""
    weights: Annotated[str | tuple[float, ...], BeforeValidator(_check_weights)] = Field(
        "uniform", examples=[*WEIGHTS, "a list"]
    )
    """Weight of each loss: a rule, or a list. `uniform`: 1, then extra_weight for each further loss; `mean`: 1, then
    extra_weight shared by them; `decay`: extra_weight^(i - 1); `far`: 1, and extra_weight for the last loss alone."""
    extra_weight: float = Field(1.0, ge=0, le=LARGEST_WEIGHT)
    """Lambda, the number in the rules of `weights`."""
    active: Annotated[str | tuple[tuple[int, int], ...], BeforeValidator(_check_active)] = Field(
        "all", examples=[*CURRICULA, "a list"]
    )
    """Which losses are trained when. `up` and `down`: losses 1..k, with k growing from 1 or falling from N, for an equal share
    of the steps each; `fade`: as `down`, loss k fading over its share; a list of [step, k]: losses 1..k from that step on."""
    stages: Annotated[tuple[WeightStage, ...] | None, BeforeValidator(_to_tuple)] = Field(None, examples=["null", "a list"])
    """Weights over training, in place of `weights` and `active`: a list of mappings with `until`, `start` and `end`."""
    normalised: bool = False
    """Whether the weights of each step are divided by their sum."""
    terms: Terms = Field(ALL, examples=[ALL, "a list"])
    """Terms of the loss: which head predicts which token, and where; `all`: head i predicts token t + i at every position.
    Each is a mapping of `head`, `ahead`, and the roles `target`, `except_target`, `position`, `except_position`."""

    @model_validator(mode="after")
    def _check_weighting(self) -> Self:
        if not isinstance(self.weights, str) and self.extra_weight != 1.0:
            raise ValueError("objective.extra_weight is the number of a rule: give it or a list of objective.weights")
        if self.stages is not None and (self.weights, self.extra_weight, self.active) != ("uniform", 1.0, "all"):
            raise ValueError("objective.stages replaces objective.weights, extra_weight and active: leave these out")
        return self

    @property
    def kind(self) -> ObjectiveKind:
        """The entry of the objective; LabError if it is a user's own and cannot be imported."""
        return find_objective_kind(self.name)

    def losses(self, n: int) -> tuple[str, ...]:
        """Return the names of the losses with n prediction heads, in the order of their weights."""
        return self.kind.losses(n, self.window)

    def has_term(self, head: int) -> bool:
        """Return whether the loss has a term of a prediction head, counted from 1."""
        return self.terms is None or any(term.head == head for term in self.terms)

    def check_terms(self, n: int, task: Task, *, teacher_forced: bool) -> None:
        """Raise a ValueError if the terms of the loss do not fit the objective, the prediction heads or the task."""
        if self.terms is None:
            return
        if self.name != "sum":
            raise ValueError(
                f"objective.terms must be all with objective.name {self.name}: the target of a term is a single token ahead"
            )
        if not self.has_term(1):
            raise ValueError("objective.terms must have a term of head 1, the next-token model")
        for term in self.terms:
            term.check(n, task, teacher_forced=teacher_forced)

    def check(self, n: int, steps: int) -> None:
        """Raise a ValueError if the settings do not fit n prediction heads and the number of steps."""
        if self.name in OBJECTIVES:  # a user's own is imported when training begins
            self.check_losses(n, steps)

    def check_losses(self, n: int, steps: int) -> None:
        """Raise a ValueError if settings do not fit the losses and the number of steps."""
        for setting, value, allowed in (
            ("teacherless", self.teacherless, not self.kind.hidden_token),
            ("detached", self.detached, self.kind.plain),
        ):
            if value and not allowed:
                raise ValueError(f"objective.{setting} must be false with objective.name {self.name}, not {value}")
        if self.window < self.kind.least_window:
            raise ValueError(
                f"objective.window must be at least {self.kind.least_window} with objective.name {self.name}, not {self.window}"
            )
        names = self.losses(n)
        count, each = len(names), "prediction head" if len(names) == n else f"loss ({', '.join(names)})"
        lists = [] if isinstance(self.weights, str) else [("weights", self.weights)]
        lists += [("stages", weights) for stage in self.stages or () for weights in (stage.start, stage.end or stage.start)]
        for setting, weights in lists:
            if len(weights) != count:
                raise ValueError(f"objective.{setting} must be {count} numbers, one for each {each}, not {len(weights)}")
        most = LARGEST_WEIGHT ** (1 / max(1, count - 1))
        if self.weights == "decay" and self.extra_weight > most:
            raise ValueError(
                f"objective.extra_weight must be at most {most:.3g} with objective.weights decay and {count} losses,"
                f" not {self.extra_weight:g}"
            )
        if self.active in ("up", "down", "fade") and steps < count:
            raise ValueError(
                f"steps must be at least {count}, one for each stage of objective.active {self.active}, not {steps}"
            )
        for step, trained in () if isinstance(self.active, str) else self.active:
            if not 1 <= trained <= count:
                raise ValueError(f"objective.active must train between 1 and {_most(count, n)}, not {trained}")
            if step >= steps:
                raise ValueError(f"objective.active must change before steps = {steps}, not at step {step}")
        ends = [round(stage.until * steps) for stage in self.stages or ()]
        if self.stages is not None and (not ends or ends[-1] != steps or ends != sorted({*ends} - {0})):
            shares = [stage.until for stage in self.stages]
            raise ValueError(
                f"objective.stages must end at growing shares of the {steps} steps, the last at 1, not at {shares}"
            )


def _most(count: int, n: int) -> str:
    return f"n_future = {n} heads" if count == n else f"{count} losses"
