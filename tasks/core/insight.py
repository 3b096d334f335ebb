"""The part of a task's contract that answers instruments: contrasts, latents, exact distributions and consistency.

Every method returns None or an empty mapping where a task has no answer. Shapes: B sequences, T positions, V vocabulary.
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
    """C of the B sequences of a batch, with one token changed that decides a later one.

    Attributes:
        sequence: (C,) int64, the number of each original in the batch, in increasing order. Sequences in which no change of one
            token decides another are left out.
        tokens: (C, T) int64, the changed sequences; the task could draw each of them, though perhaps for another split.
        changed: (C,) int64, the position of the changed token, the only difference from the originals before `answer`.
        answer: (C,) int64, the position of the token that the change decides, which differs from the original's.
    """

    sequence: NDArray[np.int64]
    tokens: NDArray[np.int64]
    changed: NDArray[np.int64]
    answer: NDArray[np.int64]


class Insight:
    """Questions that instruments ask about a task's sequences."""

    def contrast(self, batch: Batch) -> Contrast | None:
        """Change one token in each sequence, and the tokens that follow from it: a function of the sequence alone.

        Args:
            batch: B sequences.
        """
        return None

    def latents(self, batch: Batch) -> Mapping[str, NDArray[np.generic]]:
        """Return quantities that a model could compute, by name: each at position t is a function of the tokens up to t.

        Args:
            batch: B sequences, of which only the tokens matter. Any tokens may follow a prefix that the task could draw.

        Returns:
            Classes (B, T) int64, numbered from 0, and -1 where the prefix does not determine one yet; or vectors (B, T, K)
            float64, and nan where it does not. Their names are short noun phrases.
        """
        return {}

    def roles_of(self, tokens: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Return the role of each token of any sequences, right or wrong, such as those that a model wrote.

        Args:
            tokens: (B, T) ids.

        Returns:
            (B, T) int64; sequences that the task could draw have the roles that `draw` gives them. None where tokens do not
            determine roles.
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
            position: Position of the last given token, from 0 to T - 3.

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
        """Return whether each token of the answers is right given its prefix, including any mistakes in the prefix.

        After a wrong choice, its consequences are consistent, though none of them is in the right answer.

        Args:
            tokens: (B, T) ids, right prompts with any answers.

        Returns:
            (B, T) bool; True outside the answers.
        """
        return None


def choose(tokens: NDArray[np.int64], allowed: NDArray[np.bool_], key: int = 0) -> NDArray[np.int64]:
    """Choose one of the allowed options for each sequence by a hash of the sequence.

    Args:
        tokens: (B, T) ids.
        allowed: (B, K) bool, whether each option is allowed; at least one is for each sequence.
        key: Selects one of a family of hashes.

    Returns:
        (B,) int64, indices below K.
    """
    place_B = (hash_instances(tokens, key) >> np.uint64(1)).astype(np.int64) % allowed.sum(axis=1)
    chosen_B: NDArray[np.int64] = (allowed.cumsum(axis=1) > place_B[:, None]).argmax(axis=1)
    return chosen_B
