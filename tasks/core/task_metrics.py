"""The part of a task's contract that measures more than losses, all of the next-token head. Shapes: B rows, T positions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class TaskMetrics:
    """Metrics that a task brings itself: of a model's distribution, and of rows that it completes. By default none."""

    @property
    def compares(self) -> bool:
        """Whether the task defines `compare`."""
        return type(self).compare is not TaskMetrics.compare

    def compare(self, tokens: NDArray[np.int64], log_probs: NDArray[np.float32]) -> dict[str, float]:
        """Metrics that need a model's whole distribution, as its distance to known predictors.

        Args:
            tokens: (B, T) ids.
            log_probs: (B, T, V) float32, natural logarithms; entry t is the prediction of token t + 1.

        Returns:
            Values by name, as `kl/bigram`; `loss/` and `accuracy/` are taken.
        """
        return {}

    @property
    def sampled_from(self) -> int | None:
        """The position from which rows are completed by sampling, and then judged; what stands before is given. None: never."""
        return None

    def judge(self, tokens: NDArray[np.int64]) -> dict[str, float]:
        """Metrics of sampled rows, by name: `valid` becomes `sampled/valid`.

        Args:
            tokens: (B, T) ids; those before `sampled_from` are an evaluation row's, the others were sampled at temperature 1.
        """
        return {}

    def forced(self, prefix: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """What is imposed on the next position while sampling, to see what becomes of a row whose hard choices are made for it.

        Args:
            prefix: (B, t) ids, t >= `sampled_from`.

        Returns:
            (B,) int64 ids, -1 where the model is free; None, at every prefix, if the task imposes nothing. A task that does
            is sampled a second time, and what `judge` says then is `forced/<name>`.
        """
        return None
