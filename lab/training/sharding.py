"""Shard weights, gradients and optimiser over devices (FSDP), for a model too large for one device.

The weights of a layer are gathered while it computes and then freed. The weights outside the layers (embedding, unembedding,
norm) are one group, gathered from the forward pass to the end of the backward pass, since the loss uses the unembedding.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FullyShardedDataParallel, OptimStateKeyType, fully_shard
from torch.distributed.tensor import DTensor

from lab.model import Network
from lab.model.layers import Layer

_WHOLE = StateDictOptions(full_state_dict=True)
_ON_FIRST = StateDictOptions(full_state_dict=True, cpu_offload=True)


class ShardedStrategy(ModelParallelStrategy):
    """Lightning's FSDP with the checkpoints of a run: gathered on the first process, written without pickle."""

    def __init__(self, devices: int) -> None:
        super().__init__(data_parallel_size=devices, tensor_parallel_size=1, save_distributed_checkpoint=False)

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: str | Path, storage_options: Any | None = None) -> None:
        if self.is_global_zero:
            self.checkpoint_io.save_checkpoint(checkpoint, filepath)

    def load_checkpoint(self, checkpoint_path: str | Path, weights_only: bool | None = None) -> dict[str, Any]:
        state: dict[str, Any] = self.checkpoint_io.load_checkpoint(checkpoint_path)
        assert self.model is not None
        set_model_state_dict(self.model, state["state_dict"], options=_WHOLE)
        for optimiser, numbered in zip(self.optimizers, state["optimizer_states"], strict=True):
            named = FullyShardedDataParallel.rekey_optim_state_dict(numbered, OptimStateKeyType.PARAM_NAME, self.model)
            set_optimizer_state_dict(self.model, optimiser, named, options=_WHOLE)
        return state


def shard(network: Network, mesh: DeviceMesh) -> None:
    """Shard a network's weights over the devices of a mesh, in place."""
    for module in network.modules():
        if isinstance(module, Layer):
            fully_shard(module, mesh=mesh)
    fully_shard(network, mesh=mesh, reshard_after_forward=False)


def is_sharded(network: Network) -> bool:
    """Return whether a network is sharded."""
    return any(isinstance(weight, DTensor) for weight in network.parameters())


def gather_network(network: Network) -> tuple[Network, ...]:
    """Gather a sharded network on the first process, on its device; elsewhere return none. Every process must call it."""
    device = next(network.parameters()).device
    weights = get_model_state_dict(network, options=_ON_FIRST)
    if not weights:
        return ()
    with torch.device("meta"):
        whole = Network(network.spec)
    whole.load_state_dict(weights, assign=True)
    return (whole.to(device),)


def gather_tensor(value: Tensor) -> Tensor:
    """Gather a tensor that may be sharded. Every process must call it."""
    return value.full_tensor() if isinstance(value, DTensor) else value
