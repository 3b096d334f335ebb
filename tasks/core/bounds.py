"""The part of a task's contract that says what is known of its data beforehand. Shapes: B rows, T positions."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tasks.core.strata import Numbered, Stratum

Count = tuple[int, Literal["exact", "at most", "at least"]]
"""How many there are, and what the number is."""


class Bounds:
    """What a task knows of its law and of its instances; by default nothing."""

    def floor(self, role: str) -> float | None:
        """Entropy in nats of a target of this role for who knows the generating law; None where it has no closed form."""
        return None

    def chance(self, role: str) -> float | None:
        """Accuracy on this role of the best guess that does not look at the context; None where it has no closed form."""
        return None

    def optimum(self, tokens: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Loss in nats of the optimal predictor on each token given those before it, (B, T); None where not computable.

        Position 0 has nothing before it; its entry is what the law says of a first token.
        """
        return None

    def instance_count(self) -> Count | None:
        """How many different `instances` these settings have over all splits, and what the number is; None if nobody knows."""
        return None

    def every_instance(self) -> NDArray[np.integer] | None:
        """All `instances`, (K, columns), where they are few: then the splits divide them exactly, not by a hash."""
        return None

    def strata(self) -> tuple[Stratum, ...]:
        """Parts of the stated distribution that have the same share in every split, with their chances, which add up to 1.

        A task states more than one where its distribution draws a size first, such as a period or a number of digits.
        """
        return (Stratum(name="all", chance=1.0),)

    def stratum(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """(B,) the number of each sequence's stratum, an index into `strata()`."""
        return np.zeros(len(tokens), dtype=np.int64)

    def numbered(self, tokens: NDArray[np.int64]) -> Numbered | None:
        """Where the instances stand in the blocks that `strata()` lists; None if all blocks have many instances."""
        return None

    def facts(self) -> dict[str, int]:
        """What else a certificate of the data must say, as how many texts were left out because they are too long."""
        return {}
