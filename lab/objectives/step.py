"""Split the batch of an optimiser step into microbatches with targets."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from lab.config import Experiment
from lab.objectives.kinds import Objective
from lab.objectives.targets import IGNORE, Inputs, Microbatch, StepData, Targets
from lab.objectives.terms import term_targets
from tasks import Batch
from tasks.core.rng import stream


def make_microbatches(experiment: Experiment, objective: Objective, batch: Batch, step: int, count: int) -> list[Microbatch]:
    """Split the batch of an optimiser step into equal microbatches with their targets.

    Args:
        experiment: The run's settings.
        objective: Its objective.
        batch: All sequences of the step.
        step: The optimiser step, counted from 0, which keys random draws.
        count: Microbatches of the step, over all devices.
    """
    data = make_step_data(experiment, objective, batch, step)
    targets = objective.targets(data)
    counted = [targets.per_head()] if objective.counts is None else [targets.per_head(), objective.counts(data)]
    counts_L = (torch.cat(counted).double() / count).float()  # the terms of a loss keep the weight that they have among all
    if experiment.objective.terms is not None:
        roles_BT = torch.from_numpy(batch.roles).long()
        visible = data.tokens_BT, data.scored_BT, roles_BT
        targets = Targets(term_targets(experiment.objective.terms, experiment.task.roles, *visible, data.n_future))
    size = len(batch) // count
    inputs = make_inputs(experiment, batch, step) if objective.inputs is None else objective.inputs(data)
    parts = zip(inputs.split(size), targets.split(size), strict=True)
    if objective.extra is None:
        return [Microbatch(*each, counts_L) for each in parts]
    assert data.present_BT is not None
    own = zip(*(torch.split(each, size) for each in (data.tokens_BT, data.scored_BT, data.present_BT)), strict=True)
    return [Microbatch(*each, counts_L, (0, 0), *more) for each, more in zip(parts, own, strict=True)]


def make_step_data(experiment: Experiment, objective: Objective, batch: Batch, step: int) -> StepData:
    """Collect the input of an objective for an optimiser step; arguments as of `make_microbatches`."""
    shuffled_BT = None
    if objective.shuffles:
        visible = np.where(batch.scored, batch.tokens, IGNORE)
        shuffled_BT = torch.from_numpy(visible[draw_partners(len(batch), experiment.seed, step)])
    tokens_BT, scored_BT = torch.from_numpy(batch.tokens), torch.from_numpy(batch.scored)
    return StepData(
        tokens_BT,
        scored_BT,
        experiment.n_future,
        experiment.objective.window,
        shuffled_BT,
        torch.from_numpy(batch.answer),
        experiment.task.vocab_size,
        (experiment.seed, step),
        torch.from_numpy(batch.roles != 0),
        experiment.task.longest_answer,
    )


def make_inputs(experiment: Experiment, batch: Batch, step: int) -> Inputs:
    """Return the network's inputs: the tokens; in teacherless training with tokens of the answer hidden."""
    share = experiment.objective.teacherless
    if not share:
        return Inputs(torch.from_numpy(batch.tokens))
    chosen = None
    if share is not True:
        chosen = stream("objective/hidden", seed=experiment.seed, index=step).random(batch.tokens.shape) < share
    return Inputs(torch.from_numpy(hide_answer(batch, experiment.task.vocab_size, chosen)))


def draw_partners(size: int, seed: int, step: int) -> NDArray[np.int64]:
    """Draw for each sequence of a step another one, (size,): a random cycle through all, so that none keeps its own."""
    cycle = stream("objective/elsewhere", seed=seed, index=step).permutation(size)
    partners = np.empty(size, dtype=np.int64)
    partners[cycle] = np.roll(cycle, 1)
    return partners


def hide_answer(batch: Batch, mask: int, chosen: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """Return the tokens (B, T) with the mask's id in place of each token of the answer, or of those chosen, (B, T)."""
    position = np.arange(batch.tokens.shape[1])
    hidden = (position >= batch.answer[:, :1]) & (position < batch.answer[:, 1:])
    return np.where(hidden if chosen is None else hidden & chosen, mask, batch.tokens)
