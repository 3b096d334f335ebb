"""The data feed: the task's stream, cut into what each device and each accumulated part gets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from lab.config import Experiment
from lab.objectives import IGNORE, Part, find
from tasks import Batch
from tasks.streams import epoch_order, stream

_BLOCK = 1024
"""Rows of a finite training set that are drawn together."""


class Feed:
    """An endless stream of parts from a step on; a pure function of experiment, step and rank."""

    def __init__(self, experiment: Experiment, *, first_step: int = 0, rank: int = 0, world: int = 1) -> None:
        self.experiment, self.first_step, self.rank, self.world = experiment, first_step, rank, world
        self._finite = None if experiment.examples is None else _finite_set(experiment)
        self._objective = find(experiment)

    def __iter__(self) -> Iterator[Part]:
        step = self.first_step
        while True:
            yield from self.parts(step)
            step += 1

    def parts(self, step: int) -> list[Part]:
        """What this rank sees in an optimiser step, `accumulate` parts."""
        tokens, scored = self.rows(step)
        shares = self.world * self.experiment.accumulate
        counts = self._objective.counts(scored, self.experiment.n_future, self.experiment.objective.window)
        counts_N = torch.from_numpy((np.array(counts) / shares).astype(np.float32))
        columns = [tokens, scored]
        if self._objective.elsewhere:
            columns.append(np.where(scored, tokens, IGNORE)[other_rows(len(tokens), self.experiment.seed, step)])
        mine = range(self.rank * self.experiment.accumulate, (self.rank + 1) * self.experiment.accumulate)
        cut = [[torch.from_numpy(np.split(column, shares)[share]) for column in columns] for share in mine]
        return [Part(tokens_BT, scored_BT, counts_N, *elsewhere) for tokens_BT, scored_BT, *elsewhere in cut]

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


def other_rows(size: int, seed: int, step: int) -> NDArray[np.int64]:
    """For each row of a step another one, (size,): a random cycle through all rows, so that none keeps its own."""
    cycle = stream("objective/elsewhere", seed=seed, index=step).permutation(size)
    others = np.empty(size, dtype=np.int64)
    others[cycle] = np.roll(cycle, 1)
    return others


def _finite_set(experiment: Experiment) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The first `examples` rows of the training stream."""
    assert experiment.examples is not None
    blocks: list[Batch] = []
    for index, begin in enumerate(range(0, experiment.examples, _BLOCK)):
        size = min(_BLOCK, experiment.examples - begin)
        blocks.append(experiment.task.batch(experiment.seed, index, size, "train"))
    return np.concatenate([block.tokens for block in blocks]), np.concatenate([block.scored for block in blocks])
