"""Prediction of later states of head 1, one pair of positions at a time."""

import torch
from torch import Tensor
from torch.nn import functional as F

from lab.objectives.next_latent import NextLatent
from lab.training.module import TrainingModule
from tasks import Batch
from tests.helpers.twins.common import head_losses


def next_latent(module: TrainingModule, batch: Batch) -> dict[str, Tensor]:
    network, model, tokens = module.network, module.extra, torch.from_numpy(batch.tokens)
    assert isinstance(model, NextLatent)
    hidden_BTD, matrix_VD = network(tokens)[0], network.unembedding.of_head(1).detach()
    distances, divergences = [], []
    size, length = tokens.shape
    for b in range(size):
        for t in range(length):
            state = hidden_BTD[b, t]
            for i in range(1, min(module.experiment.objective.window, length - 1 - t) + 1):
                if 0 in (batch.roles[b, t], batch.roles[b, t + i]):
                    continue
                state = next_state(model, state, network.embedding.weight[tokens[b, t + i]].detach())
                true = hidden_BTD[b, t + i].detach()
                error = (state - true).abs()
                distances.append(torch.where(error < 1, 0.5 * error**2, error - 0.5).mean())
                if t + i + 1 < length and batch.scored[b, t + i + 1]:
                    log_p, log_q = (matrix_VD @ true).log_softmax(-1), (matrix_VD @ state).log_softmax(-1)
                    divergences.append((log_p.exp() * (log_p - log_q)).sum())
    return head_losses(module, batch) | {"latent": mean(distances), "kl": mean(divergences)}


def next_state(model: NextLatent, state_D: Tensor, embedded_D: Tensor) -> Tensor:
    """Return the state after the next token."""
    normed_D = state_D / (state_D.square().mean() + model.norm.epsilon).sqrt() * model.norm.weight
    first, second, third = (layer.weight for layer in (model.first, model.second, model.third))
    return state_D + third @ F.gelu(second @ F.gelu(first @ torch.cat([normed_D, embedded_D])))


def mean(values: list[Tensor]) -> Tensor:
    return torch.stack(values).mean()
