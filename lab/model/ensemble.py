"""Several networks of one shape as one network, to train them together.

The sequences of M members, B each, are one batch of M x B. Parts without weights (attention, RoPE, activations) are
unaffected; a part with weights multiplies each member's sequences by that member's own, in one batched product. So a network of
the parts in `_STACKERS` can be stacked, and each member computes what it computes alone, to rounding.

Networks with different numbers of prediction heads N can have one shape as well: at equal parameters, where trunk and heads are
L equal layers, of which the last N are heads. Stacked they have the heads of the widest, the first of which continue the trunk
of a member with fewer.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lab.config.kinds import KINDS
from lab.errors import LabError
from lab.model.context import Context
from lab.model.heads import ParallelHeads
from lab.model.kernels import gated_unit, rms_norm
from lab.model.layers import Linear, RmsNorm, Swiglu
from lab.model.network import Network
from lab.model.unembedding import Matrices, Unembedding

_HEAD_LAYERS = "heads.layers."


def stack(networks: Sequence[Network]) -> Network:
    """Make one network of several that differ in their weights, and perhaps in the number of prediction heads.

    Args:
        networks: M of them; if their numbers of heads differ, they have equally many layers, and their kind of heads continues
            the trunk (`HeadKind.continues_trunk`), whose output all heads read.

    Returns:
        A network whose weights have a first dimension of M, under the names of the widest member; `forward` takes (M x B, T)
        tokens, member by member, and returns (N, M x B, T, D), of which a member with n heads has the last n. It has no logits
        of its own: `member_state` returns the weights of a member.

    Raises:
        LabError: If a part with weights cannot be stacked, or networks with different numbers of heads are not one shape.
    """
    counts = {network.n_future for network in networks}
    if len(counts) > 1 and len({_shape(network) for network in networks}) > 1:
        kinds = " or ".join(name for name, kind in KINDS.items() if kind.continues_trunk)
        raise LabError(
            "networks with different numbers of prediction heads can be trained together only if they have equal layers, and"
            f" equally many: model.heads {kinds}, model.matched parameters, model.head_layer null"
        )
    stacked = copy.deepcopy(max(networks, key=lambda network: network.n_future))
    for name, module in list(stacked.named_modules()):
        if type(module) in _STACKERS:
            parent, _, leaf = name.rpartition(".")
            parts = [network.get_submodule(member_name(name, stacked, network.n_future)) for network in networks]
            setattr(stacked.get_submodule(parent), leaf, _STACKERS[type(module)](parts))
        elif any(True for _ in module.parameters(recurse=False)):
            raise LabError(f"networks with a {type(module).__name__} cannot be trained together")
    return stacked


def member_name(name: str, stacked: Network, n_future: int) -> str:
    """Return the name of a part or weight of a stacked network in a member with `n_future` heads."""
    fewer, first = stacked.n_future - n_future, len(stacked.trunk)
    number, *rest = name.removeprefix(_HEAD_LAYERS).split(".")
    if not fewer or not name.startswith(_HEAD_LAYERS):
        return name
    own = f"trunk.{first + int(number)}" if int(number) < fewer else f"{_HEAD_LAYERS}{int(number) - fewer}"
    return ".".join([own, *rest])


def member_state(stacked: Network, member: int, n_future: int) -> dict[str, Tensor]:
    """Return the weights of one member with `n_future` heads by name, as views: a state dict of its own network."""
    return {member_name(name, stacked, n_future): tensor[member] for name, tensor in stacked.state_dict().items()}


def split_members(matrices: Matrices) -> list[Matrices]:
    """Split the matrices of a stacked unembedding into those of each member."""
    if isinstance(matrices, Tensor):
        return list(matrices.unbind(0))
    return list(zip(*(matrix.unbind(0) for matrix in matrices), strict=True))


def _shape(network: Network) -> Any:
    """Return a key that is equal for networks of the same layers, however many of these are prediction heads."""
    model, n_future = network.spec.model, network.n_future
    one_shape = network.spec.kind.continues_trunk and model.head_layer is None
    return (model.heads, len(network.trunk) + n_future) if one_shape else (model.heads, n_future)


class _StackedLinear(nn.Module):
    """`Linear` with one matrix for each member."""

    def __init__(self, parts: Sequence[Linear]) -> None:
        super().__init__()
        self.weight = _stack_parameters([part.weight for part in parts])

    def forward(self, states: Tensor) -> Tensor:
        weights_MOI = self.weight
        members, outputs, inputs = weights_MOI.shape
        out = torch.bmm(states.reshape(members, -1, inputs), weights_MOI.transpose(1, 2))
        return out.view(*states.shape[:-1], outputs)


class _StackedNorm(nn.Module):
    """`RmsNorm` with one weight for each member; the sequences of states are their last dimension but two."""

    def __init__(self, parts: Sequence[RmsNorm]) -> None:
        super().__init__()
        self.weight, self.epsilon = _stack_parameters([part.weight for part in parts]), parts[0].epsilon

    def forward(self, states: Tensor, frozen: bool = False) -> Tensor:
        weights_M1D = (self.weight.detach() if frozen else self.weight).unsqueeze(1)
        by_member = states.reshape(*states.shape[:-3], len(weights_M1D), -1, states.shape[-1])
        return rms_norm(by_member, weights_M1D, self.epsilon).view(states.shape)


class _StackedEmbedding(nn.Module):
    """`nn.Embedding` with one table for each member."""

    def __init__(self, parts: Sequence[nn.Embedding]) -> None:
        super().__init__()
        self.weight = _stack_parameters([part.weight for part in parts])
        self.num_embeddings = parts[0].num_embeddings

    def forward(self, tokens: Tensor) -> Tensor:
        members, vocabulary, width = self.weight.shape
        offset = vocabulary * torch.arange(members, device=tokens.device)
        rows = tokens.view(members, -1) + offset[:, None]
        return nn.functional.embedding(rows.view(tokens.shape), self.weight.view(-1, width))


class _StackedSwiglu(nn.Module):
    """`Swiglu` whose matrices are stacked after it."""

    def __init__(self, parts: Sequence[Swiglu]) -> None:
        super().__init__()
        self.gate, self.up, self.down = parts[0].gate, parts[0].up, parts[0].down

    def forward(self, states: Tensor) -> Tensor:
        gate, up, down = self.gate.weight, self.up.weight, self.down.weight
        by_member = states.reshape(len(gate), -1, states.shape[-1])
        return gated_unit(by_member, gate, up, down).view(states.shape)


class _StackedParallelHeads(nn.Module):
    """`ParallelHeads` of members with different numbers of heads: a layer is a head of some members and trunk of others."""

    def __init__(self, layers: nn.ModuleList, counts: Sequence[int]) -> None:
        super().__init__()
        self.layers, self._counts = layers, counts

    def forward(self, trunk_BTD: Tensor, heads: Sequence[int], context: Context) -> list[Tensor]:
        inputs, states = list(trunk_BTD.chunk(len(self._counts))), []
        for done, layer in enumerate(self.layers, start=1):
            states.append(layer(torch.cat(inputs), context))
            for member, state_BTD in enumerate(states[-1].chunk(len(self._counts))):
                if done <= len(self.layers) - self._counts[member]:
                    inputs[member] = state_BTD
        return [states[head - 1] for head in heads]


def _stack_parallel_heads(parts: Sequence[ParallelHeads]) -> nn.Module:
    counts = [len(part.layers) for part in parts]
    widest = copy.deepcopy(parts[counts.index(max(counts))])
    return widest if len(set(counts)) == 1 else _StackedParallelHeads(widest.layers, counts)


def _stack_unembeddings(parts: Sequence[Unembedding]) -> Unembedding:
    """Return one unembedding with matrices (M, V, D), which `split_members` splits for the loss."""
    stacked = copy.deepcopy(parts[0])
    if isinstance(stacked.weight, nn.Parameter):  # a list of replicas is stacked after it
        stacked.weight = _stack_parameters([part.of_head(1) for part in parts])
    return stacked


def _stack_replicas(parts: Sequence[nn.ParameterList]) -> nn.ParameterList:
    return nn.ParameterList(_stack_parameters(same) for same in zip(*parts, strict=True))


def _stack_parameters(tensors: Sequence[Tensor]) -> nn.Parameter:
    return nn.Parameter(torch.stack([tensor.detach() for tensor in tensors]))


_STACKERS: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    Linear: _StackedLinear,
    RmsNorm: _StackedNorm,
    Swiglu: _StackedSwiglu,
    nn.Embedding: _StackedEmbedding,
    ParallelHeads: _stack_parallel_heads,
    Unembedding: _stack_unembeddings,
    nn.ParameterList: _stack_replicas,
}
"""How the parts of several networks become one, by class: parents before the parts in them."""
