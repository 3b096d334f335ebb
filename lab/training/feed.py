"""The data feed: the task's stream, cut into what each device and each accumulated part gets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lab.config import Experiment
from tasks import Batch
from tasks.streams import epoch_order

_BLOCK = 1024
"""Rows of a finite training set that are drawn together."""


class Part(NamedTuple):
    """What one forward pass sees.

    Attributes:
        tokens_BT: (B, T) int64.
        scored_BT: (B, T) bool, which tokens count as targets.
        counts_N: (N,) float32: targets of each prediction head in the whole step, divided by the number of its parts, so that
            the mean over parts of each part's loss is the loss of the whole step, however unevenly targets are spread.
    """

    tokens_BT: Tensor
    scored_BT: Tensor
    counts_N: Tensor


class Feed:
    """An endless stream of parts from a step on; a pure function of experiment, step and rank."""

    def __init__(self, experiment: Experiment, *, first_step: int = 0, rank: int = 0, world: int = 1) -> None:
        self.experiment, self.first_step, self.rank, self.world = experiment, first_step, rank, world
        self._finite = None if experiment.examples is None else _finite_set(experiment)

    def __iter__(self) -> Iterator[Part]:
        step = self.first_step
        while True:
            yield from self.parts(step)
            step += 1

    def parts(self, step: int) -> list[Part]:
        """What this rank sees in an optimiser step, `accumulate` parts."""
        tokens, scored = self.rows(step)
        shares = self.world * self.experiment.accumulate
        counts = np.array([scored[:, i:].sum() for i in range(1, self.experiment.n_future + 1)]) / shares
        counts_N = torch.from_numpy(counts.astype(np.float32))
        mine = slice(self.rank * self.experiment.accumulate, (self.rank + 1) * self.experiment.accumulate)
        cut = zip(np.split(tokens, shares)[mine], np.split(scored, shares)[mine], strict=True)
        return [Part(torch.from_numpy(tokens_BT), torch.from_numpy(scored_BT), counts_N) for tokens_BT, scored_BT in cut]

    def rows(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Tokens and which of them count, of the whole optimiser step, (batch_size, T)."""
        experiment = self.experiment
        if self._finite is None:
            batch = experiment.task.batch(experiment.seed, step, experiment.batch_size, "train")
            return batch.tokens, batch.scored
        tokens, scored = self._finite
        size = experiment.batch_size
        positions = np.arange(step * size, (step + 1) * size)
        epochs, within = np.divmod(positions, len(tokens))
        rows = np.empty(size, dtype=np.int64)
        for epoch in np.unique(epochs):
            order = epoch_order(len(tokens), seed=experiment.seed, epoch=int(epoch))
            rows[epochs == epoch] = order[within[epochs == epoch]]
        return tokens[rows], scored[rows]


def _finite_set(experiment: Experiment) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The first `examples` rows of the training stream."""
    assert experiment.examples is not None
    blocks: list[Batch] = []
    for index, begin in enumerate(range(0, experiment.examples, _BLOCK)):
        size = min(_BLOCK, experiment.examples - begin)
        blocks.append(experiment.task.batch(experiment.seed, index, size, "train"))
    return np.concatenate([block.tokens for block in blocks]), np.concatenate([block.scored for block in blocks])
