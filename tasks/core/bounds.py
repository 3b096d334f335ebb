"""The part of a task's contract that states what is known of its data: entropies, the optimal predictor and instance counts.

Shapes: B sequences, T positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.core.strata import Ranks, Stratum


class Bound(NamedTuple):
    """A number of instances.

    Attributes:
        value: The number.
        kind: Whether it is exact or a bound.
    """

    value: int
    kind: Literal["exact", "at most", "at least"] = "exact"


class Bounds:
    """Known properties of a task's distribution and its instances; by default none."""

    def floor(self, role: str) -> float | None:
        """Return the irreducible loss of a role in nats: its conditional entropy under the data's distribution.

        None where it has no closed form.
        """
        return None

    def chance(self, role: str) -> float | None:
        """Return the accuracy of the best context-independent guess on a role; None where it has no closed form."""
        return None

    def plateaus(self, role: str) -> Mapping[str, float]:
        """Return the accuracies on a role of the best guesses that use a part of the context, by a label for figures.

        Training stays at such a plateau until the model uses the rest of the context. Empty where none is known.
        """
        return {}

    def optimum(self, tokens: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Compute the loss in nats of the optimal predictor on each token given those before it.

        Args:
            tokens: (B, T) ids.

        Returns:
            (B, T), at position 0 the loss of the first token without context; None where it cannot be computed.
        """
        return None

    def instance_count(self) -> Bound | None:
        """Return the number of different `instances` of these settings over all splits; None if it is unknown."""
        return None

    def every_instance(self) -> NDArray[np.integer] | None:
        """List all `instances`, (K, columns), where they are few, so that the splits divide them exactly and not by a hash."""
        return None

    def strata(self) -> tuple[Stratum, ...]:
        """Return the parts of the distribution that have the same share in every split; their chances sum to 1.

        A task has more than one where its distribution draws a size first, such as a period or a number of digits.
        """
        return (Stratum(name="all", chance=1.0),)

    def stratum(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the stratum of each sequence, (B,), an index into `strata()`."""
        return np.zeros(len(tokens), dtype=np.int64)

    def rank(self, tokens: NDArray[np.int64]) -> Ranks | None:
        """Rank each instance within its block of `strata()`; None if all blocks have many instances."""
        return None

    def facts(self) -> dict[str, int]:
        """Return further counts for a data report, such as the number of texts that are too long."""
        return {}
