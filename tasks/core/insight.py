"""What a task knows about its sequences beyond tokens and roles: the questions that instruments ask of it.

Every method returns None, or nothing, where a task does not know. Shapes: B sequences, T positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.core.batch import Batch


@dataclass(frozen=True, eq=False, kw_only=True)
class Contrast:
    """Sequences in which one cause is changed, and with it the answer.

    Attributes:
        tokens: (B, T) int64, the changed sequences; the task could draw each of them.
        changed: (B,) int64, the position at which they differ from the originals; before `answer` they differ nowhere else.
        answer: (B,) int64, the position of the token that the cause decides: it differs from the original's.
    """

    tokens: NDArray[np.int64]
    changed: NDArray[np.int64]
    answer: NDArray[np.int64]


class Insight:
    """Contrasts, latent quantities, joint distributions and consistency of a task's sequences."""

    def contrast(self, batch: Batch) -> Contrast | None:
        """Change one cause in each sequence, the same way at every call.

        Args:
            batch: B sequences.
        """
        return None

    def latents(self, batch: Batch) -> Mapping[str, NDArray[np.generic]]:
        """Return quantities that a model could compute, by name: each at t is a function of tokens up to t alone.

        Args:
            batch: B sequences.

        Returns:
            Classes (B, T) int64, numbered from 0, -1 where the prefix does not determine one yet; or vectors (B, T, K) float64,
            nan where it does not. Their names are short noun phrases.
        """
        return {}

    def joint(self, batch: Batch, position: int) -> NDArray[np.float64] | None:
        """Compute the distribution of the next two tokens given each prefix, under the distribution of the data.

        Args:
            batch: B sequences, of which only the tokens up to `position` count.
            position: Of the last token that is given, from 0 to T - 3.

        Returns:
            (B, V, V): probability that the tokens at `position` + 1 and + 2 are x and y. None where the task does not know it
            at this position.
        """
        return None

    def consistent(self, tokens: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Return whether each token of the answers is right after its own prefix, whatever mistakes the prefix has.

        After a wrong choice, its consequences are consistent though none of them is the right answer.

        Args:
            tokens: (B, T) ids, with right prompts and any answers.

        Returns:
            (B, T) bool; True outside the answers.
        """
        return None
