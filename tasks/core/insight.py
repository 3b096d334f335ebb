"""What a task knows about its sequences beyond tokens and roles: the questions that instruments ask of it.

Every method returns None, or nothing, where a task does not know. Shapes: B sequences, T positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.core.batch import Batch
from tasks.core.splits import hash_instances


@dataclass(frozen=True, eq=False, kw_only=True)
class Contrast:
    """Sequences in which one cause is changed, and with it the answer: C of the B sequences of a batch.

    Attributes:
        sequence: (C,) int64, the number of each original in the batch, in increasing order. Left out are sequences in which no
            change of one token does it.
        tokens: (C, T) int64, the changed sequences; the task could draw each of them, in any split.
        changed: (C,) int64, the position at which they differ from the originals; before `answer` they differ nowhere else.
        answer: (C,) int64, the position of the token that the cause decides: it differs from the original's.
    """

    sequence: NDArray[np.int64]
    tokens: NDArray[np.int64]
    changed: NDArray[np.int64]
    answer: NDArray[np.int64]


class Insight:
    """Contrasts, latent quantities, exact distributions and consistency of a task's sequences."""

    def contrast(self, batch: Batch) -> Contrast | None:
        """Change one cause in each sequence: a function of the sequence alone.

        Args:
            batch: B sequences.
        """
        return None

    def latents(self, batch: Batch) -> Mapping[str, NDArray[np.generic]]:
        """Return quantities that a model could compute, by name: each at t is a function of tokens up to t alone.

        Args:
            batch: B sequences, of which only the tokens count. After a prefix that the task could draw, any tokens may follow.

        Returns:
            Classes (B, T) int64, numbered from 0, -1 where the prefix does not determine one yet; or vectors (B, T, K) float64,
            nan where it does not. Their names are short noun phrases.
        """
        return {}

    def roles_of(self, tokens: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Return the role of each token of any sequences, right or wrong, such as those that a model has written.

        Args:
            tokens: (B, T) ids.

        Returns:
            (B, T) int64, as `draw` gives them to sequences that the task could draw. None where tokens do not determine roles.
        """
        return None

    def next_distribution(self, tokens: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Compute the distribution of the next token given each prefix, under the distribution of the data.

        Args:
            tokens: (B, t) ids, t >= 1: prefixes of sequences that the task could draw.

        Returns:
            (B, V) probabilities. None where the task does not know them after t tokens.
        """
        return None

    def joint(self, batch: Batch, position: int) -> NDArray[np.float64] | None:
        """Compute the distribution of the next two tokens given each prefix, under the distribution of the data.

        Args:
            batch: B sequences, of which only the tokens up to `position` count.
            position: Of the last token that is given, from 0 to T - 3.

        Returns:
            (B, V, V): probability that the tokens at `position` + 1 and + 2 are x and y. None where the task does not know it
            at this position.
        """
        prefix_BT = batch.tokens[:, : position + 1]
        first_BV = self.next_distribution(prefix_BT)
        if first_BV is None:
            return None
        row_N, token_N = np.nonzero(first_BV)
        second_NV = self.next_distribution(np.concatenate([prefix_BT[row_N], token_N[:, None]], axis=1))
        if second_NV is None:
            return None
        joint_BVV = np.zeros((*first_BV.shape, first_BV.shape[1]))
        joint_BVV[row_N, token_N] = first_BV[row_N, token_N, None] * second_NV
        return joint_BVV

    def consistent(self, tokens: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Return whether each token of the answers is right after its own prefix, whatever mistakes the prefix has.

        After a wrong choice, its consequences are consistent though none of them is the right answer.

        Args:
            tokens: (B, T) ids, with right prompts and any answers.

        Returns:
            (B, T) bool; True outside the answers.
        """
        return None


def choose(tokens: NDArray[np.int64], allowed: NDArray[np.bool_], key: int = 0) -> NDArray[np.int64]:
    """Choose one of the allowed options for each sequence: a fixed function of the sequence that looks random.

    Args:
        tokens: (B, T) ids.
        allowed: (B, K), at least one of the options of each sequence.
        key: Selects one of a family of functions.

    Returns:
        (B,) int64, indices below K.
    """
    place_B = (hash_instances(tokens, key) >> np.uint64(1)).astype(np.int64) % allowed.sum(axis=1)
    chosen_B: NDArray[np.int64] = (allowed.cumsum(axis=1) > place_B[:, None]).argmax(axis=1)
    return chosen_B
