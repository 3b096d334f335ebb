"""No model of any task has a loss below the floors of the task, so that no floor is too high."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import lab
from lab.model import Network, build
from tasks import Task
from tests.helpers.every_task import EVERY

SEQUENCES, STEPS = 128, 20


def losses_by_role(network: Network, task: Task) -> dict[str, np.ndarray]:
    """Compute the loss of head 1 on every target of each role, in nats."""
    batch = task.batch(0, 0, SEQUENCES, "validation")
    tokens = torch.from_numpy(batch.tokens)
    with torch.no_grad():
        logits = network(tokens)[0][:, :-1] @ network.unembedding.weight.T
    losses = F.cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none").numpy()
    return {role: losses[batch.roles[:, 1:] == number] for number, role in enumerate(task.roles)}


def train_briefly(network: Network, task: Task) -> Network:
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for step in range(STEPS):
        batch = task.batch(0, step, 16)
        tokens = torch.from_numpy(batch.tokens)
        logits = network(tokens)[0][:, :-1] @ network.unembedding.weight.T
        loss = F.cross_entropy(logits[batch.roles[:, 1:] != 0], tokens[:, 1:][batch.roles[:, 1:] != 0])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return network


@pytest.mark.parametrize("name", EVERY)
def test_no_model_has_a_loss_below_the_floors(name: str) -> None:
    experiment = lab.experiment(name, {"model.width": 8, "model.layers": 2, "model.n_heads": 2}, n_future=1)
    network = build(experiment)
    for trained in (False, True):
        if trained:
            train_briefly(network, experiment.task)
        for role, losses in losses_by_role(network, experiment.task).items():
            floor = experiment.task.floor(role)
            if floor is not None and len(losses):
                error = losses.std() / np.sqrt(len(losses))
                assert losses.mean() >= floor - 4 * error - 1e-6, f"{role}, trained: {trained}"
