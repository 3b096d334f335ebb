"""Counter-based random streams: a batch depends on its label, seed and index alone.

A stream is a Philox generator, keyed by a label (task, settings and split) and the seed. The batch's index is the highest word
of the counter and drawing moves the lowest, so that two batches never share a draw, as they could with the seed `seed + index`.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from tasks.settings import require

LARGEST_WORD = (1 << 64) - 1
"""The largest unsigned integer of 64 bits."""


def digest(*values: object) -> int:
    """Return a 64-bit hash of the values, which is the same on every machine and in every process."""
    text = "\x1f".join(str(value) for value in values)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def stream(label: str, *, seed: int, index: int) -> np.random.Generator:
    """Return the generator of one batch.

    Args:
        label: States what is drawn: the task, its settings and the split. Different labels never share a draw.
        seed: The experiment's seed, 0 or more.
        index: Number of the batch, 0 or more.

    Raises:
        TaskError: For a seed or index that is not a whole number of at most 64 bits.
    """
    for name, value in (("seed", seed), ("index", index)):
        require(_is_word(value), name, value, "a whole number between 0 and 2**64 - 1")
    key = np.array([digest(label), seed], dtype=np.uint64)
    counter = np.array([0, 0, 0, index], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def _is_word(value: object) -> bool:
    """Return whether a value is a whole number of 64 bits."""
    return isinstance(value, (int, float, np.integer)) and bool(0 <= value <= LARGEST_WORD and value % 1 == 0)


def epoch_order(examples: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the keyed permutation in which an epoch visits a finite training set, (examples,) int64."""
    return stream("epoch", seed=seed, index=epoch).permutation(examples)
