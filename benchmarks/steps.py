"""The steps that benchmarks time: forward, backward, clipping and fused AdamW on fixed tokens."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

import lab
from lab.config import Experiment
from lab.model import build
from lab.objectives import IGNORE, Targets, future_targets, multi_head_loss

ROWS, LENGTH, VOCABULARY = 16, 256, 256

Step = Callable[[], None]


def device() -> torch.device:
    """A GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def shaped(size: str, n_future: int = 1) -> Experiment:
    """An experiment with one of the paper's sizes and rows of 256 tokens."""
    settings = {"model.size": size, "task.vocabulary": VOCABULARY, "task.length": LENGTH, "task.test_period": None}
    return lab.experiment("induction", settings, n_future=n_future)


def tokens_of(experiment: Experiment, rows: int) -> Tensor:
    """Random tokens, (rows, T): what they are does not matter to time and memory."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(experiment.task.vocab_size, (rows, experiment.task.length), generator=generator).to(device())


def stepper(network: nn.Module, loss: Callable[[], Tensor], *, bf16: bool) -> Step:
    """A whole training step."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    kind = next(network.parameters()).device.type

    def step() -> None:
        with torch.autocast(kind, torch.bfloat16, enabled=bf16):
            value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()

    return step


def ours(experiment: Experiment, tokens_BT: Tensor, *, bf16: bool = False, compiled: bool = False) -> Step:
    """Our step, with as many prediction heads as the experiment has."""
    network, n = build(experiment).to(tokens_BT.device), experiment.n_future
    call = torch.compile(network) if compiled else network
    everything = torch.ones_like(tokens_BT, dtype=torch.bool)

    def loss() -> Tensor:
        targets_NBT = future_targets(tokens_BT, everything, n)
        counts_N = (targets_NBT != IGNORE).sum((1, 2))
        return multi_head_loss(call(tokens_BT), network.unembedding.matrices, Targets(targets_NBT), counts_N).total

    return stepper(network, loss, bf16=bf16)
