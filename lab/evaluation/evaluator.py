"""What is measured at an evaluation point: loss and accuracy by role and prediction head, answers, induction scores.

Names of metrics: `loss/<role>/<i>` and `accuracy/<role>/<i>` for prediction head i (counted from 1), role `all` for every
target that trains; `exact` and `first` where an answer is determined; those that the task brings itself, with `sampled/` and
`forced/` before what it says of sampled rows; a variant's name and a colon before those of the variant, and `teacherless:`
before those with the answer hidden, for a model trained so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lab.config import Experiment
from lab.evaluation.task_metrics import task_metrics
from lab.interp.attention_scores import attention_scores, in_context_score, probe_period, repeated_probe, score_metrics
from lab.model import Network
from lab.objectives import future_targets, row_statistics
from lab.training.feed import without_answer
from tasks import Batch, Task

EVALUATION_SEED = 0
"""Every run of a task is measured on the same rows, whatever its own seed."""
_ROWS_AT_ONCE = 128
_PROBE_SEQUENCES = 16


class Evaluator:
    """Measures a network on fixed rows of a task and of its variants."""

    def __init__(self, experiment: Experiment, device: torch.device | str = "cpu") -> None:
        settings = experiment.evaluation
        self._settings, self._device = settings, torch.device(device)
        variants: dict[str, Task] = {"": experiment.task}
        variants |= {f"{name}:": task for name, task in experiment.task.variants().items()}
        self._tasks = {
            prefix: (task, Rows(task.batch(EVALUATION_SEED, 0, settings.examples, settings.split), self._device))
            for prefix, task in variants.items()
        }
        if experiment.objective.teacherless:
            batch = experiment.task.batch(EVALUATION_SEED, 0, settings.examples, settings.split)
            hidden = torch.from_numpy(without_answer(batch, experiment.task.vocab_size)).to(self._device)
            self._tasks["teacherless:"] = (experiment.task, Rows(batch, self._device, hidden))
        self._probes = {
            prefix: repeated_probe(task.vocab_size, _PROBE_SEQUENCES, probe_period(task), EVALUATION_SEED).to(self._device)
            for prefix, task in variants.items()
            if not prefix or task.repeats()
        }

    @torch.no_grad()
    def __call__(self, network: Network) -> dict[str, float]:
        """Every metric by its name; losses in nats. All are NaN if a weight or a logit is not finite."""
        values: dict[str, float] = {}
        with evaluation_mode(network):
            for prefix, (task, rows) in self._tasks.items():
                measured = measure(network, task, rows)
                values |= {prefix + name: value for name, value in measured.items()}
            if self._settings.induction_scores:
                for prefix, probe_BT in self._probes.items():
                    scores = score_metrics(attention_scores(network, probe_BT), period=probe_BT.shape[1] // 2)
                    values |= {prefix + name: value for name, value in scores.items()}
        return values if math.isfinite(values["loss/all/1"]) else dict.fromkeys(values, math.nan)


class Rows:
    """Rows of one task on a device: tokens, roles and scored positions (B, T), answers (B, 2), hidden answers (B, T) if any."""

    def __init__(self, batch: Batch, device: torch.device, hidden_BT: Tensor | None = None) -> None:
        self.hidden_BT = hidden_BT
        self.tokens_BT = torch.from_numpy(batch.tokens).to(device)
        self.roles_BT = torch.from_numpy(batch.roles).to(device, torch.int64)
        self.scored_BT = torch.from_numpy(batch.scored).to(device)
        self.answer_B2 = torch.from_numpy(batch.answer).to(device)


def measure(network: Network, task: Task, rows: Rows) -> dict[str, float]:
    """Loss and accuracy of every prediction head on each role, of whole answers, and what the task brings itself.

    All are NaN if a weight or a logit is not finite: an argmax of such logits, or a sample, would look like a number.
    """
    n, roles = network.n_future, len(task.roles)
    losses_NBT, hits_NBT = _predictions(network, rows)
    if not (losses_NBT.isfinite().all() and has_finite_weights(network)):
        with zero_weights(network):  # what can be measured then has the same names
            return dict.fromkeys(measure(network, task, rows), math.nan)
    everything = torch.ones_like(rows.scored_BT)
    roles_NBT = future_targets(rows.roles_BT, everything, n).clamp(min=0)  # past the end: role 0, which never counts
    scored_NBT = future_targets(rows.scored_BT.long(), everything, n) == 1
    values: dict[str, float] = {}
    for i in range(n):
        counts = torch.bincount(roles_NBT[i].flatten(), minlength=roles)
        for kind, measured in (("loss", losses_NBT[i]), ("accuracy", hits_NBT[i])):
            sums = torch.bincount(roles_NBT[i].flatten(), measured.flatten().double(), minlength=roles)
            for number, role in enumerate(task.roles):
                if number and counts[number]:
                    values[f"{kind}/{role}/{i + 1}"] = float(sums[number] / counts[number])
            values[f"{kind}/all/{i + 1}"] = float(measured[scored_NBT[i]].double().mean())
    if task.has_answer and task.determined:
        values |= answer_accuracy(hits_NBT[0], rows.answer_B2)
    if not task.has_answer:
        values["icl"] = in_context_score(losses_NBT[0], roles_NBT[0] != 0)
    if rows.hidden_BT is not None:
        return values  # the task's own metrics are of a model that reads what it has written
    return values | task_metrics(network, task, rows.tokens_BT, EVALUATION_SEED)


def answer_accuracy(hits_BT: Tensor, answer_B2: Tensor) -> dict[str, float]:
    """`exact`: whole answers right by greedy decoding; `first`: their first token right.

    Greedy decoding gives the true answer if and only if each of its tokens is the most probable one after the true ones before
    it, so that one teacher-forced pass says exactly what generation would.

    Args:
        hits_BT: (B, T) bool, whether the next-token head is right at each position about the token after it.
        answer_B2: (B, 2) begin and end (exclusive) of the answers.
    """
    position = torch.arange(1, hits_BT.shape[1] + 1, device=hits_BT.device)  # of the target
    inside = (position >= answer_B2[:, :1]) & (position < answer_B2[:, 1:])
    first = hits_BT.gather(1, answer_B2[:, :1] - 1)
    return {"exact": float((hits_BT | ~inside).all(1).double().mean()), "first": float(first.double().mean())}


def has_finite_weights(network: nn.Module) -> bool:
    """Whether all weights of a network are finite."""
    return bool(torch.stack([weight.isfinite().all() for weight in network.parameters()]).all())


@contextmanager
def zero_weights(network: nn.Module) -> Iterator[None]:
    """All weights are 0 inside, in no memory, and what they were before afterwards."""
    kept = [weight.data for weight in network.parameters()]
    try:
        for weight in network.parameters():
            weight.data = weight.data.new_zeros(()).expand(weight.shape)
        yield
    finally:
        for weight, data in zip(network.parameters(), kept, strict=True):
            weight.data = data


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, the mode from before afterwards."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


def _predictions(network: Network, rows: Rows) -> tuple[Tensor, Tensor]:
    """Losses (N, B, T) float32 and hits (N, B, T) bool, some rows at a time; targets outside the row count 0."""
    losses, hits = [], []
    everything = torch.ones(1, 1, dtype=torch.bool, device=rows.tokens_BT.device)
    for begin in range(0, len(rows.tokens_BT), _ROWS_AT_ONCE):
        tokens_BT = rows.tokens_BT[begin : begin + _ROWS_AT_ONCE]
        targets_NBT = future_targets(tokens_BT, everything.expand_as(tokens_BT), network.n_future)
        shown_BT = tokens_BT if rows.hidden_BT is None else rows.hidden_BT[begin : begin + _ROWS_AT_ONCE]
        loss_NBT, hit_NBT = row_statistics(network(shown_BT), network.unembedding.matrices, targets_NBT)
        losses.append(loss_NBT)
        hits.append(hit_NBT)
    return torch.cat(losses, dim=1), torch.cat(hits, dim=1)
