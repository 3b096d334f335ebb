"""Make the training steps that benchmarks time: forward, backward, clipping and fused AdamW on fixed tokens."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

import lab
from lab.config import Experiment
from lab.config.cost import matrix_parameters, network_counts
from lab.model import Network, build
from lab.objectives import IGNORE, Targets, future_targets, multi_head_loss

SEQUENCES, LENGTH, VOCABULARY = 16, 256, 256
"""Sequences of a step, tokens of a sequence, and size of the vocabulary."""

Step = Callable[[], None]
"""Runs one training step."""


def pick_device() -> torch.device:
    """Return the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def make_experiment(size: str, n_future: int = 1, vocabulary: int = VOCABULARY) -> Experiment:
    """Return an experiment with one of the paper's sizes and sequences of `LENGTH` tokens."""
    settings = {"model.size": size, "task.vocabulary": vocabulary, "task.length": LENGTH, "task.test_period": None}
    return lab.experiment("induction", settings, n_future=n_future)


def tokens_of(experiment: Experiment, sequences: int) -> Tensor:
    """Draw uniform random tokens, (sequences, T); time and memory do not depend on their values."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(experiment.task.vocab_size, (sequences, experiment.task.length), generator=generator).to(pick_device())


def count_flops(experiment: Experiment, tokens: int) -> tuple[float, float]:
    """Count the FLOPs that a step on so many tokens needs, forward and backward.

    Attention counts past positions only, unlike `lab.config.cost.flops_per_token`, which counts all pairs.

    Returns:
        The FLOPs of the products with matrices, and of those in attention.
    """
    model, task = experiment.model, experiment.task
    counts = network_counts(model, experiment.n_future)
    matrices = matrix_parameters(model, counts) + experiment.n_future * task.vocab_size * model.width
    past = (task.length + 1) / 2  # mean number of positions that a position attends to
    return 6 * tokens * matrices, 12 * tokens * counts.layers * past * model.width


def make_targets(tokens_BT: Tensor, n_future: int) -> Tensor:
    """Return the targets of each prediction head at every position, (N, B, T)."""
    return future_targets(tokens_BT, torch.ones_like(tokens_BT, dtype=torch.bool), n_future)


def compute_loss(network: Network, hidden_NBTD: Tensor, targets_NBT: Tensor) -> Tensor:
    """Return the sum over prediction heads of their mean losses, in nats."""
    counts_N = (targets_NBT != IGNORE).sum((1, 2))
    return multi_head_loss(hidden_NBTD, network.unembedding.matrices, Targets(targets_NBT), counts_N).total


def make_step(network: nn.Module, loss: Callable[[], Tensor], *, bf16: bool) -> Step:
    """Return a training step of a network: loss, gradients, clipping and update.

    Args:
        network: Its parameters are updated.
        loss: Computes the scalar loss of a step.
        bf16: Whether the loss is computed under bfloat16 autocast.
    """
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    device_type = next(network.parameters()).device.type

    def step() -> None:
        with torch.autocast(device_type, torch.bfloat16, enabled=bf16):
            value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()

    return step


def ours(experiment: Experiment, tokens_BT: Tensor, *, bf16: bool = False, compiled: bool = False) -> Step:
    """Return a training step of our network, with the prediction heads of the experiment.

    Args:
        experiment: Describes the network.
        tokens_BT: Tokens of every step.
        bf16: Whether the forward pass runs under bfloat16 autocast.
        compiled: Whether the network is compiled.
    """
    network = build(experiment).to(tokens_BT.device)
    call = torch.compile(network) if compiled else network

    def loss() -> Tensor:
        return compute_loss(network, call(tokens_BT), make_targets(tokens_BT, experiment.n_future))

    return make_step(network, loss, bf16=bf16)
