"""Measures: functions of a network and a batch that give metrics at evaluation points.

A new measure is one function here and one line in `lab.config.evaluation.MEASURES`; or a function in a module of your own,
named `module:function` in `evaluation.measures`. It is called for the task and for each of its variants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from lab.evaluation.batch import EVALUATION_SEED, EvaluationBatch
from lab.interp.attention_scores import attention_scores, probe_period, repeated_probe, score_metrics
from lab.interp.effective_rank import rank_metrics
from lab.interp.gradients import gradient_metrics
from lab.model import Network
from lab.objectives import Microbatch, Targets, find_objective, make_microbatches
from lab.objectives.schedule import make_stages, stage_at
from tasks import Batch

Measure = Callable[[Network, EvaluationBatch], Mapping[str, float]]
_PROBE_SEQUENCES = 16


def measure_induction(network: Network, batch: EvaluationBatch) -> dict[str, float]:
    """Measure prefix matching and copying of every attention head on a probe of repeated random tokens.

    Of a task's variants, those whose sequences repeat are measured.
    """
    if batch.variant and not batch.task.repeats():
        return {}
    probe_BT = repeated_probe(batch.task.vocab_size, _PROBE_SEQUENCES, probe_period(batch.task), EVALUATION_SEED)
    scores = attention_scores(network, probe_BT.to(batch.tokens_BT.device))
    return score_metrics(scores, period=probe_BT.shape[1] // 2)


def measure_training(_: Network, batch: EvaluationBatch) -> Mapping[str, float]:
    """Report loss and gradient norm of the training steps since the last evaluation point."""
    return {} if batch.variant else batch.training


def measure_gradients(network: Network, batch: EvaluationBatch) -> dict[str, float]:
    """Measure the gradients of the prediction heads; see `lab.interp.gradients`.

    The sequences are fixed: as many as one forward pass of training has, of the evaluation's split. Changes between points are
    the network's, and every run of a task whose devices take as many sequences at once has the same.
    """
    if batch.variant:
        return {}
    experiment = batch.experiment
    size = max(2, experiment.batch_size // (experiment.devices * experiment.grad_accum_steps))
    sequences = experiment.task.batch(EVALUATION_SEED, 0, size, experiment.evaluation.split)
    objective, device = find_objective(experiment), batch.tokens_BT.device

    def make(batch: Batch) -> Microbatch:
        (microbatch,) = make_microbatches(experiment, objective, batch, 0, 1)
        return microbatch

    inputs, targets, counts_N, *_ = make(sequences)
    scores = targets.scores_NBTK
    targets = Targets(targets.tokens.to(device), None if scores is None else scores.to(device))
    roles: tuple[Tensor, tuple[str, ...]] | None = None
    if targets.scores_NBTK is None:  # each target is one token, which has one role
        roles = make(_put_roles_for_tokens(sequences)).targets.tokens.to(device), experiment.task.roles
    stages = make_stages(experiment)
    weights = list(stages[stage_at(stages, batch.step)].at(batch.step))
    if experiment.objective.detached:
        weights[1:] = [0.0] * (len(weights) - 1)
    with torch.enable_grad():
        return gradient_metrics(network, inputs.tokens_BS.to(device), targets, counts_N.to(device), weights, roles)


def measure_rank(network: Network, batch: EvaluationBatch) -> dict[str, float]:
    """Measure the effective rank of the states of trunk and prediction heads; see `lab.interp.effective_rank`.

    A teacherless network reads the sequences with the answer hidden.
    """
    if batch.variant:
        return {}
    inputs_BT = batch.inputs_BT
    if network.spec.teacherless:
        position_T = torch.arange(inputs_BT.shape[1], device=inputs_BT.device)
        hidden_BT = (position_T >= batch.answer_B2[:, :1]) & (position_T < batch.answer_B2[:, 1:])
        inputs_BT = inputs_BT.masked_fill(hidden_BT, batch.task.vocab_size)
    return rank_metrics(network, inputs_BT, batch.scored_BT)


def _put_roles_for_tokens(batch: Batch) -> Batch:
    """Replace each token by its role: the targets that an objective then makes are the roles of its targets."""
    return Batch(tokens=batch.roles.astype(np.int64), roles=batch.roles, scored=batch.scored, answer=batch.answer)
