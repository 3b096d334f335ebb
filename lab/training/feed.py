"""The data feed: the task's stream, cut into what each device and each accumulated part gets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import numpy as np
import torch
from numpy.typing import NDArray

from lab.config import Experiment
from lab.objectives import IGNORE, Objective, Part, find
from tasks import Batch
from tasks.core.rng import epoch_order, stream

_ARRAYS = [field.name for field in fields(Batch)]
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
        accumulate, rows = self.experiment.accumulate, self.rows(step)
        whole = whole_part(self.experiment, self._objective, rows, step)
        first, *rest = whole.cut(self.world * accumulate)[self.rank * accumulate :][:accumulate]
        return [first._replace(seen=count_tokens(rows)), *rest]

    def rows(self, step: int) -> Batch:
        """The rows of the whole optimiser step."""
        experiment = self.experiment
        if self._finite is None:
            return experiment.task.batch(experiment.seed, step, experiment.batch_size, "train")
        size = experiment.batch_size
        positions = np.arange(step * size, (step + 1) * size)
        epochs, within = np.divmod(positions, len(self._finite))
        rows = np.empty(size, dtype=np.int64)
        for epoch in np.unique(epochs):
            order = epoch_order(len(self._finite), seed=experiment.seed, epoch=int(epoch))
            rows[epochs == epoch] = order[within[epochs == epoch]]
        return _taken(self._finite, rows)


def count_tokens(batch: Batch) -> tuple[int, int]:
    """Count what a batch adds to the tokens seen (all but padding) and to the scored tokens (head 1's targets that train)."""
    return int((batch.roles != 0).sum()), int(batch.scored[:, 1:].sum())


def other_rows(size: int, seed: int, step: int) -> NDArray[np.int64]:
    """For each row of a step another one, (size,): a random cycle through all rows, so that none keeps its own."""
    cycle = stream("objective/elsewhere", seed=seed, index=step).permutation(size)
    others = np.empty(size, dtype=np.int64)
    others[cycle] = np.roll(cycle, 1)
    return others


def whole_part(experiment: Experiment, objective: Objective, batch: Batch, step: int) -> Part:
    """The rows of an optimiser step as its objective sees them.

    Args:
        experiment: What is run.
        objective: Its objective.
        batch: All rows of the step.
        step: Which, counted from 0: what the objective draws depends on it.
    """
    counts = objective.counts(batch.scored, experiment.n_future, experiment.objective.window)
    elsewhere = inputs = None
    if objective.elsewhere:
        visible = np.where(batch.scored, batch.tokens, IGNORE)
        elsewhere = torch.from_numpy(visible[other_rows(len(batch), experiment.seed, step)])
    if experiment.objective.teacherless:
        inputs = torch.from_numpy(without_answer(batch, experiment.task.vocab_size))
    tokens_BT, scored_BT = torch.from_numpy(batch.tokens), torch.from_numpy(batch.scored)
    return Part(tokens_BT, scored_BT, torch.tensor(counts, dtype=torch.float64), elsewhere, inputs)


def without_answer(batch: Batch, mask: int) -> NDArray[np.int64]:
    """The tokens (B, T) with a mask's id instead of each token of the answer."""
    position = np.arange(batch.tokens.shape[1])
    inside = (position >= batch.answer[:, :1]) & (position < batch.answer[:, 1:])
    return np.where(inside, mask, batch.tokens)


def _finite_set(experiment: Experiment) -> Batch:
    """The first `examples` rows of the training stream."""
    assert experiment.examples is not None
    blocks = [
        experiment.task.batch(experiment.seed, index, min(_BLOCK, experiment.examples - begin), "train")
        for index, begin in enumerate(range(0, experiment.examples, _BLOCK))
    ]
    return Batch(**{name: np.concatenate([getattr(block, name) for block in blocks]) for name in _ARRAYS})


def _taken(batch: Batch, rows: NDArray[np.int64]) -> Batch:
    return Batch(**{name: getattr(batch, name)[rows] for name in _ARRAYS})
