"""Several networks of one shape as one network, for training them together.

M members of B rows each are folded into M x B rows. What has no weights (attention, rotary turns, activations) never notices;
what has weights multiplies each member's rows by that member's own, in one batched product. So every kind of network that is
made of the parts in `_STACKED` can be stacked, and each member computes what it would alone, to rounding.

Networks with different numbers of prediction heads N can be one shape as well: at equal parameters with `parallel` or `causal`
heads all are L equal layers, of which the last N are heads. Stacked they have the heads of the widest; the first of these
continue the trunk of a member with fewer, whose own heads are the last ones.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lab.errors import LabError
from lab.model.heads import CausalHeads, Context, ParallelHeads
from lab.model.kernels import gated_unit, rms_norm
from lab.model.layers import NORM_EPSILON, RmsNorm, Swiglu
from lab.model.network import Network
from lab.model.unembedding import Matrices, Unembedding


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

    def __init__(self, parts: Sequence[RmsNorm]) -> None:
        super().__init__()
        self.weight = _joined([part.weight for part in parts])

    def forward(self, states: Tensor, frozen: bool = False) -> Tensor:
        gains_M1D = (self.weight.detach() if frozen else self.weight).unsqueeze(1)
        by_member = states.reshape(*states.shape[:-3], len(gains_M1D), -1, states.shape[-1])
        return rms_norm(by_member, gains_M1D, NORM_EPSILON).view(states.shape)


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
    """`Swiglu` of its parts, which are stacked after it."""

    def __init__(self, parts: Sequence[Swiglu]) -> None:
        super().__init__()
        self.gate, self.up, self.down = parts[0].gate, parts[0].up, parts[0].down

    def forward(self, states: Tensor) -> Tensor:
        gate, up, down = self.gate.weight, self.up.weight, self.down.weight
        by_member = states.reshape(len(gate), -1, states.shape[-1])
        return gated_unit(by_member, gate, up, down).view(states.shape)


def _unembedding(parts: Sequence[Unembedding]) -> Unembedding:
    """The unembeddings of all members as one with matrices (M, V, D), of which losses take each member's by `by_member`."""
    joined = copy.deepcopy(parts[0])
    if isinstance(joined.weight, nn.Parameter):  # a list of replicas is stacked after it
        joined.weight = _joined([part.of_head(1) for part in parts])
    return joined


def _matrix_list(parts: Sequence[nn.ParameterList]) -> nn.ParameterList:
    return nn.ParameterList(_joined(same) for same in zip(*parts, strict=True))


def by_member(matrices: Matrices) -> list[Matrices]:
    """The matrices of each member of a stacked unembedding."""
    if isinstance(matrices, Tensor):
        return list(matrices.unbind(0))
    return list(zip(*(matrix.unbind(0) for matrix in matrices), strict=True))


_LAYERS = "heads.layers."
_STACKED: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    nn.Linear: _Linear,
    RmsNorm: _Norm,
    Swiglu: _Swiglu,
    nn.Embedding: _Embedding,
    Unembedding: _unembedding,
    nn.ParameterList: _matrix_list,
}


class _ParallelHeads(nn.Module):
    """`ParallelHeads` of members with different numbers of heads: a layer reads the trunk's output, or is more of the trunk."""

    def __init__(self, heads: ParallelHeads, counts: Sequence[int]) -> None:
        super().__init__()
        self.layers, self._counts = heads.layers, counts

    def forward(self, trunk_BTD: Tensor, context: Context) -> Tensor:
        members = len(self._counts)
        read, states = list(trunk_BTD.chunk(members)), []
        for done, layer in enumerate(self.layers, start=1):
            states.append(layer(torch.cat(read), context.rotary))
            for member, state_BTD in enumerate(states[-1].chunk(members)):
                if done <= len(self.layers) - self._counts[member]:
                    read[member] = state_BTD
        return torch.stack(states)


def stack(networks: Sequence[Network]) -> Network:
    """One network of several that differ in their weights, and perhaps in the number of prediction heads.

    Args:
        networks: M of them; those with different numbers of heads have equal layers, as many, and heads that can be stacked.

    Returns:
        A network whose weights have a first dimension of M under the names of the widest; `forward` takes (M x B, T) tokens,
        member by member, and gives (N, M x B, T, D), of which a member with n heads has the last n. It has no logits of its
        own: `member_state` takes a member out.

    Raises:
        LabError: If a part with weights cannot be stacked, or networks with different numbers of heads are not one shape.
    """
    counts = [network.n_future for network in networks]
    if len(set(counts)) > 1 and len({_shape(network) for network in networks}) > 1:
        raise LabError(
            "networks with different numbers of prediction heads can be trained together only if they are equal layers, as"
            " many in each: model.heads parallel or causal, model.matched parameters"
        )
    stacked = copy.deepcopy(max(networks, key=lambda network: network.n_future))
    for name, module in list(stacked.named_modules()):
        if type(module) in _STACKED:
            parent, _, leaf = name.rpartition(".")
            parts = [network.get_submodule(member_name(name, stacked, network.n_future)) for network in networks]
            setattr(stacked.get_submodule(parent), leaf, _STACKED[type(module)](parts))
        elif any(True for _ in module.parameters(recurse=False)):
            raise LabError(f"networks with a {type(module).__name__} cannot be trained together")
    if len(set(counts)) > 1 and isinstance(stacked.heads, ParallelHeads):
        stacked.heads = _ParallelHeads(stacked.heads, counts)
    return stacked


def _shape(network: Network) -> Any:
    """Equal for networks that are the same layers, however many of these are prediction heads."""
    if type(network.heads) not in (ParallelHeads, CausalHeads):
        return type(network.heads), network.n_future
    return type(network.heads), len(network.trunk) + network.n_future, len(list(network.unembedding.parameters()))


def member_name(name: str, stacked: Network, n_future: int) -> str:
    """What a part or weight of a stacked network is called in a member with so many heads alone."""
    fewer, first = stacked.n_future - n_future, len(stacked.trunk)
    place, *rest = name.removeprefix(_LAYERS).split(".")
    if not fewer or not name.startswith(_LAYERS):
        return name
    own = f"trunk.{first + int(place)}" if int(place) < fewer else f"{_LAYERS}{int(place) - fewer}"
    return ".".join([own, *rest])


def member_state(stacked: Network, member: int, n_future: int) -> dict[str, Tensor]:
    """The weights of one member with so many heads by name, as views: what its own network's `load_state_dict` takes."""
    return {member_name(name, stacked, n_future): tensor[member] for name, tensor in stacked.state_dict().items()}


def _joined(tensors: Sequence[Tensor]) -> nn.Parameter:
    return nn.Parameter(torch.stack([tensor.detach() for tensor in tensors]))
