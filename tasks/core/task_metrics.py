"""The part of a task's contract that measures the next-token head by more than its losses.

Shapes: B sequences, T positions, V vocabulary.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class TaskMetrics:
    """Metrics of a model's distribution and of sequences that it samples; by default none."""

    @property
    def compares(self) -> bool:
        """Whether the task defines `compare`."""
        return type(self).compare is not TaskMetrics.compare

    def compare(self, tokens: NDArray[np.int64], log_probs: NDArray[np.float32]) -> dict[str, float]:
        """Compute metrics of a model's whole distribution, such as its distance to known predictors.

        Args:
            tokens: (B, T) ids.
            log_probs: (B, T, V) float32, natural logarithms; entry t is the prediction of token t + 1.

        Returns:
            Values by name, as `kl/bigram`; no name may begin with `loss/` or `accuracy/`.
        """
        return {}

    @property
    def sampled_from(self) -> int | None:
        """The first position to sample, given the tokens before it; None if no sequences are sampled and judged."""
        return None

    def judge(self, tokens: NDArray[np.int64]) -> dict[str, float]:
        """Compute metrics of sampled sequences by name; `valid` becomes the metric `sampled/valid`.

        Args:
            tokens: (B, T) ids; those before `sampled_from` come from the data, the others were sampled at temperature 1.
        """
        return {}

    def forced(self, prefix: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Return tokens to impose at the next position, to sample sequences in which the hard choices are right.

        Args:
            prefix: (B, t) ids, t >= `sampled_from`.

        Returns:
            (B,) int64 ids, -1 where the model's own token stays; None at every prefix if the task imposes nothing. If it
            imposes tokens, sequences are sampled a second time, and the metrics of `judge` are then named `forced/<name>`.
        """
        return None
