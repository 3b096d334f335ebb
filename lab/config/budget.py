"""The budget of a run that is matched with n = 1 in FLOPs or wall time."""

from __future__ import annotations

from fractions import Fraction

from pydantic import Field

from lab.config.model import ModelSettings
from lab.config.settings import Settings


class BudgetSettings(Settings):
    """The cost of n = 1 with the same settings, if `model.matched` is `flops` or `time`; `lab.resolve` computes the steps."""

    steps: int | None = Field(None, ge=1)
    """Optimiser steps of n = 1, from which those of the run follow; null until resolved."""
    step_time: float | None = Field(None, gt=0)
    """Time of one optimiser step, as a multiple of n = 1's; null to have it measured before the run."""

    def check(self, model: ModelSettings, *, needed: bool) -> None:
        """Raise a ValueError for a budget that `model.matched` does not use, or that is incomplete where it is needed."""
        if self.steps is not None and model.matched not in ("flops", "time"):
            raise ValueError(f"budget.steps must be null with model.matched {model.matched}, not {self.steps}")
        if self.step_time is not None and model.matched != "time":
            raise ValueError(f"budget.step_time must be null with model.matched {model.matched}, not {self.step_time}")
        if model.matched == "time" and self.steps is not None and self.step_time is None and needed:
            raise ValueError("budget.step_time must be a number where budget.steps is one: the steps follow from both")

    def pays_for(self, cost: Fraction) -> int:
        """Compute the optimiser steps, at least one, that `steps` of next-token prediction pay for.

        Args:
            cost: FLOPs of a step against those of next-token prediction; 1 for next-token prediction itself.
        """
        assert self.steps is not None
        if cost == 1:
            return self.steps
        if self.step_time is None:
            return max(1, int(self.steps / cost))
        return max(1, int(self.steps / self.step_time))
