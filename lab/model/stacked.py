"""Several networks of one shape as one network, for training them together.

M members of B rows each are folded into M x B rows. What has no weights (attention, rotary turns, activations) never notices;
what has weights multiplies each member's rows by that member's own, in one batched product. So every kind of network that is
made of the parts in `_STACKED` can be stacked, and each member computes what it would alone, to rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lab.errors import LabError
from lab.model.kernels import rms_norm
from lab.model.layers import NORM_EPSILON, RmsNorm, Swiglu
from lab.model.network import Network
from lab.model.unembedding import Unembedding


class _Linear(nn.Module):
    """`nn.Linear` without bias, one matrix for each member."""

    def __init__(self, parts: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = _joined([part.weight for part in parts])

    def forward(self, states: Tensor) -> Tensor:
        weights_MOI = self.weight
        members, outputs, inputs = weights_MOI.shape
        out = torch.bmm(states.reshape(members, -1, inputs), weights_MOI.transpose(1, 2))
        return out.view(*states.shape[:-1], outputs)


class _Norm(nn.Module):
    """`RmsNorm`, one gain for each member; the rows of states are their last dimension but two."""

    ones: Tensor

    def __init__(self, parts: Sequence[RmsNorm]) -> None:
        super().__init__()
        self.weight = _joined([part.weight for part in parts])
        self.register_buffer("ones", torch.ones_like(parts[0].weight), persistent=False)

    def forward(self, states: Tensor, frozen: bool = False) -> Tensor:
        gains_MD = self.weight.detach() if frozen else self.weight
        unit = rms_norm(states, self.ones, NORM_EPSILON)
        by_member = unit.view(*states.shape[:-3], len(gains_MD), -1, *states.shape[-2:])
        return (by_member * gains_MD[:, None, None]).view(states.shape)


class _Embedding(nn.Module):
    """`nn.Embedding`, one table for each member."""

    def __init__(self, parts: Sequence[nn.Embedding]) -> None:
        super().__init__()
        self.weight = _joined([part.weight for part in parts])
        self.num_embeddings = parts[0].num_embeddings

    def forward(self, tokens: Tensor) -> Tensor:
        members, vocabulary, width = self.weight.shape
        offset = vocabulary * torch.arange(members, device=tokens.device)
        rows = tokens.view(members, -1) + offset[:, None]
        return nn.functional.embedding(rows.view(tokens.shape), self.weight.view(-1, width))


class _Swiglu(nn.Module):
    """`Swiglu` of its parts, which are stacked after it: its own kernel takes one member's matrices."""

    def __init__(self, parts: Sequence[Swiglu]) -> None:
        super().__init__()
        self.gate, self.up, self.down = parts[0].gate, parts[0].up, parts[0].down

    def forward(self, states: Tensor) -> Tensor:
        out: Tensor = self.down(nn.functional.silu(self.gate(states)) * self.up(states))
        return out


class _Unembedding(nn.Module):
    """The unembeddings of all members; losses take each member's from `weight`."""

    def __init__(self, parts: Sequence[Unembedding]) -> None:
        super().__init__()
        self.weight = _joined([part.weight for part in parts])


_STACKED: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    nn.Linear: _Linear,
    RmsNorm: _Norm,
    Swiglu: _Swiglu,
    nn.Embedding: _Embedding,
    Unembedding: _Unembedding,
}


def stack(networks: Sequence[Network]) -> Network:
    """One network of several that differ in nothing but their weights.

    Args:
        networks: M of them.

    Returns:
        A network whose weights have a first dimension of M under the same names; `forward` takes (M x B, T) tokens, member by
        member, and gives (N, M x B, T, D). It has no logits of its own: `member_state` takes a member out.

    Raises:
        LabError: If a part with weights cannot be stacked.
    """
    stacked = copy.deepcopy(networks[0])
    for name, module in list(stacked.named_modules()):
        if type(module) in _STACKED:
            parent, _, leaf = name.rpartition(".")
            parts = [network.get_submodule(name) for network in networks]
            setattr(stacked.get_submodule(parent), leaf, _STACKED[type(module)](parts))
        elif any(True for _ in module.parameters(recurse=False)):
            raise LabError(f"networks with a {type(module).__name__} cannot be trained together")
    return stacked


def member_state(stacked: nn.Module, member: int) -> dict[str, Tensor]:
    """The weights of one member by name, as views: what its own network's `load_state_dict` takes."""
    return {name: tensor[member] for name, tensor in stacked.state_dict().items()}


def _joined(tensors: Sequence[Tensor]) -> nn.Parameter:
    return nn.Parameter(torch.stack([tensor.detach() for tensor in tensors]))
