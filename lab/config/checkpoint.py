"""The settings of checkpoints: when the state of a run is written, and which weights stay after it has finished."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from lab.config.evaluation import EvaluationSettings
from lab.config.points import thinned
from lab.config.settings import Settings, to_whole

KEPT: dict[str, Callable[[list[int]], list[int]]] = {
    "none": lambda points: points[-1:],
    "per_decade": thinned,
    "every": lambda points: points,
}
"""Steps whose weights are kept, of all evaluation points, by the rule's name; the last step's always are."""


def _check_keep(value: Any) -> Any:
    """Accept a rule's name, or an increasing list of steps."""
    if isinstance(value, str) and value in KEPT:
        return value
    steps = [to_whole(step) for step in value] if isinstance(value, (list, tuple)) else []
    if not steps or not all(type(step) is int and step >= 0 for step in steps) or steps != sorted(set(steps)):
        raise ValueError(f"checkpoint.keep must be one of {', '.join(KEPT)}, or an increasing list of steps, not {value!r}")
    return tuple(steps)


class CheckpointSettings(Settings):
    """When a run's state is written, so that it can be resumed exactly, and which weights are kept for good."""

    seconds: float = Field(10.0, ge=0)
    """Least seconds between checkpoints, which are written at evaluation points; 0 for one at every point."""
    keep: Annotated[str | tuple[int, ...], BeforeValidator(_check_keep)] = Field("none", examples=[*KEPT, "a list"])
    """Evaluation points whose weights stay in the run's folder, besides the last: `none`; `per_decade`: about eight log-spaced
    ones in each factor of ten of steps, and step 0; `every`; or a list of steps."""
    keep_precision: Literal["float32", "bfloat16"] = "float32"
    """Precision in which weights are kept, but those of the last step; `bfloat16` halves their files."""

    def kept_points(self, evaluation: EvaluationSettings, steps: int) -> list[int]:
        """List the steps whose weights are kept, with the last step."""
        if isinstance(self.keep, str):
            return KEPT[self.keep](evaluation.points(steps))
        return sorted({*self.keep, steps})

    def check(self, evaluation: EvaluationSettings, steps: int) -> None:
        """Raise a ValueError if a step to keep is no evaluation point."""
        if isinstance(self.keep, str):
            return
        points = evaluation.points(steps)
        if wrong := sorted({*self.keep} - {*points}):
            after = bisect_left(points, wrong[0])
            around = " and ".join(map(str, points[max(0, after - 1) : after + 1]))
            raise ValueError(f"checkpoint.keep must be evaluation points, not step {wrong[0]}; nearest to it: {around}")
