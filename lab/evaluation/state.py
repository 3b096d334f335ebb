"""The state of a network while it is measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def has_finite_weights(network: nn.Module) -> bool:
    """Return whether all weights of a network are finite."""
    return bool(torch.stack([weight.isfinite().all() for weight in network.parameters()]).all())


@contextmanager
def zero_weights(network: nn.Module) -> Iterator[None]:
    """Set all weights to 0 inside, without memory for them, and restore them afterwards."""
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
    """Set evaluation mode inside, and restore the mode afterwards."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)
