"""Loss and accuracy of every prediction head by role, of whole answers, and the task's own metrics."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lab.evaluation.batch import EVALUATION_SEED, SEQUENCES_AT_ONCE, EvaluationBatch
from lab.evaluation.state import has_finite_weights, zero_weights
from lab.evaluation.task_metrics import measure_task
from lab.interp.attention_scores import in_context_score
from lab.metrics import EVERY_TARGET, Metric
from lab.model import Network
from lab.objectives import future_targets, score_predictions


def measure_predictions(network: Network, batch: EvaluationBatch) -> dict[str, float]:
    """Measure predictions: losses in nats per target and accuracies, by role and prediction head.

    Names: `loss/<role>/<i>` and `accuracy/<role>/<i>` for prediction head i (counted from 1), role `all` for every target that
    trains; `exact` and `first` where an answer is determined, `icl` where there is none; and the task's own (`measure_task`).

    Args:
        network: In evaluation mode.
        batch: The held-out sequences.

    Returns:
        Metrics by name. All are NaN if a weight or a logit is not finite: an argmax or a sample of such logits would look like
        a number.
    """
    task, n, roles = batch.task, network.n_future, len(batch.task.roles)
    losses_NBT, hits_NBT = _predict(network, batch)
    if not (losses_NBT.isfinite().all() and has_finite_weights(network)):
        with zero_weights(network):  # its metrics have the same names
            return dict.fromkeys(measure_predictions(network, batch), math.nan)
    everything = torch.ones_like(batch.scored_BT)
    roles_NBT = future_targets(batch.roles_BT, everything, n).clamp(min=0)  # IGNORE, past the end, becomes role 0: padding
    scored_NBT = future_targets(batch.scored_BT.long(), everything, n) == 1
    values: dict[str, float] = {}
    for i in range(n):
        counts = torch.bincount(roles_NBT[i].flatten(), minlength=roles)
        for kind, measured in (("loss", losses_NBT[i]), ("accuracy", hits_NBT[i])):
            sums = torch.bincount(roles_NBT[i].flatten(), measured.flatten().double(), minlength=roles)
            for number, role in enumerate(task.roles):
                if number and counts[number]:
                    values[str(Metric(kind, role=role, head=i + 1))] = float(sums[number] / counts[number])
            values[str(Metric(kind, role=EVERY_TARGET, head=i + 1))] = float(measured[scored_NBT[i]].double().mean())
    if task.has_answer and task.determined:
        values |= answer_accuracy(hits_NBT[0], batch.answer_B2)
    if not task.has_answer:
        values["icl"] = in_context_score(losses_NBT[0], roles_NBT[0] != 0)
    if batch.is_hidden:
        return values  # the task's own metrics are of a model that reads its own tokens
    return values | measure_task(network, task, batch.tokens_BT, EVALUATION_SEED)


def answer_accuracy(hits_BT: Tensor, answer_B2: Tensor) -> dict[str, float]:
    """Compute `exact`, the share of whole answers that greedy decoding gets right, and `first`, that of their first tokens.

    Greedy decoding gives the true answer if and only if each of its tokens is the most probable one after the true ones before
    it: one teacher-forced pass gives exactly the result of generation.

    Args:
        hits_BT: (B, T) bool, whether the next-token head is right at each position about the token after it.
        answer_B2: (B, 2) begin and end (exclusive) of the answers.
    """
    position = torch.arange(1, hits_BT.shape[1] + 1, device=hits_BT.device)  # of the target
    inside = (position >= answer_B2[:, :1]) & (position < answer_B2[:, 1:])
    first = hits_BT.gather(1, answer_B2[:, :1] - 1)
    return {"exact": float((hits_BT | ~inside).all(1).double().mean()), "first": float(first.double().mean())}


def _predict(network: Network, batch: EvaluationBatch) -> tuple[Tensor, Tensor]:
    """Compute losses (N, B, T) float32 and hits (N, B, T) bool; targets past the end of the sequence have loss 0."""
    losses, hits = [], []
    everything = torch.ones(1, 1, dtype=torch.bool, device=batch.tokens_BT.device)
    pairs = zip(*(torch.split(each, SEQUENCES_AT_ONCE) for each in (batch.tokens_BT, batch.inputs_BT)), strict=True)
    for tokens_BT, inputs_BT in pairs:
        targets_NBT = future_targets(tokens_BT, everything.expand_as(tokens_BT), network.n_future)
        loss_NBT, hit_NBT = score_predictions(network(inputs_BT), network.unembedding.matrices, targets_NBT)
        losses.append(loss_NBT)
        hits.append(hit_NBT)
    return torch.cat(losses, dim=1), torch.cat(hits, dim=1)
