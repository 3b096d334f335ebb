"""The data feed: the task's stream, split into the microbatches of each device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from lab.config import Experiment
from lab.objectives import Microbatch, find_objective, make_microbatches
from tasks import Batch
from tasks.core.rng import epoch_order

_ARRAYS = [field.name for field in fields(Batch)]
_BLOCK = 1024
"""Sequences of a finite training set that are drawn together."""


class Feed:
    """An endless stream of microbatches from a step on: a pure function of experiment, step and rank."""

    def __init__(self, experiment: Experiment, *, first_step: int = 0, rank: int = 0, world: int = 1) -> None:
        self.experiment, self.first_step, self.rank, self.world = experiment, first_step, rank, world
        self._finite = None if experiment.examples is None else _draw_finite_set(experiment)
        self._objective = find_objective(experiment)

    def __iter__(self) -> Iterator[Microbatch]:
        step = self.first_step
        while True:
            yield from self.microbatches(step)
            step += 1

    def microbatches(self, step: int) -> list[Microbatch]:
        """Return the microbatches of this rank in an optimiser step, `grad_accum_steps` of them."""
        count, batch = self.experiment.grad_accum_steps, self.batch(step)
        everything = make_microbatches(self.experiment, self._objective, batch, step, self.world * count)
        first, *rest = everything[self.rank * count :][:count]
        return [first._replace(seen=count_tokens(batch)), *rest]

    def batch(self, step: int) -> Batch:
        """Return the sequences of the whole optimiser step."""
        experiment = self.experiment
        if self._finite is None:
            return experiment.task.batch(experiment.seed, step, experiment.batch_size, "train")
        size = experiment.batch_size
        positions = np.arange(step * size, (step + 1) * size)
        epochs, within = np.divmod(positions, len(self._finite))
        chosen = np.empty(size, dtype=np.int64)
        for epoch in np.unique(epochs):
            order = epoch_order(len(self._finite), seed=experiment.seed, epoch=int(epoch))
            chosen[epochs == epoch] = order[within[epochs == epoch]]
        return _take(self._finite, chosen)


def count_tokens(batch: Batch) -> tuple[int, int]:
    """Count the tokens of a batch (all but padding) and its scored tokens (head 1's targets that train)."""
    return int((batch.roles != 0).sum()), int(batch.scored[:, 1:].sum())


def _draw_finite_set(experiment: Experiment) -> Batch:
    """Draw the first `examples` sequences of the training stream."""
    assert experiment.examples is not None
    blocks = [
        experiment.task.batch(experiment.seed, index, min(_BLOCK, experiment.examples - begin), "train")
        for index, begin in enumerate(range(0, experiment.examples, _BLOCK))
    ]
    return Batch(**{name: np.concatenate([getattr(block, name) for block in blocks]) for name in _ARRAYS})


def _take(batch: Batch, chosen: NDArray[np.int64]) -> Batch:
    return Batch(**{name: getattr(batch, name)[chosen] for name in _ARRAYS})
