"""The gradient audit of a run: at which steps, on which rows."""

from __future__ import annotations

import numpy as np
import torch

from lab.config import Experiment
from lab.evaluation.evaluator import EVALUATION_SEED
from lab.evaluation.points import points_of
from lab.interp.gradients import gradient_metrics
from lab.model import Network
from lab.objectives import Targets, find
from lab.objectives.schedule import plan, stage_at
from lab.training.feed import whole_part
from tasks import Batch


class GradientAudit:
    """Audits a network on fixed rows: as many as one forward pass of training sees, of the evaluation's split.

    The rows are the same at every point, so that what changes is the network; and for every run of a task whose devices take
    as many rows at once.
    """

    def __init__(self, experiment: Experiment, device: torch.device | str = "cpu") -> None:
        settings, objective = experiment.evaluation, find(experiment)
        points = points_of(experiment)
        self._points = {*points[:: settings.gradient_audit], points[-1]}
        self._stages, self._detached = plan(experiment), experiment.objective.detached
        size = max(2, experiment.batch_size // (experiment.devices * experiment.accumulate))
        batch = experiment.task.batch(EVALUATION_SEED, 0, size, settings.split)
        n, window = experiment.n_future, experiment.objective.window
        part = whole_part(experiment, objective, batch, 0)
        self._shown_BT, self._counts_N = part.shown.to(device), part.counts_N.float().to(device)
        tokens, scores = objective.targets(part, n, window)
        self._targets = Targets(tokens.to(device), None if scores is None else scores.to(device))
        self._roles = None
        if scores is None:  # a head is told one token, which has one role
            roles = objective.targets(whole_part(experiment, objective, _roles_for_tokens(batch), 0), n, window).tokens
            self._roles = roles.to(device), experiment.task.roles

    def __call__(self, network: Network, step: int) -> dict[str, float]:
        """Metrics of `lab.interp.gradients` at an evaluation point, none at a point that is not audited."""
        if step not in self._points:
            return {}
        weights = list(self._stages[stage_at(self._stages, step)].weights)
        if self._detached:
            weights[1:] = [0.0] * (len(weights) - 1)
        return gradient_metrics(network, self._shown_BT, self._targets, self._counts_N, weights, self._roles)


def _roles_for_tokens(batch: Batch) -> Batch:
    """The same rows with each token's role in its place: an objective's targets are then the targets' roles."""
    return Batch(tokens=batch.roles.astype(np.int64), roles=batch.roles, scored=batch.scored, answer=batch.answer)
