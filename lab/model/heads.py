"""Prediction heads: from the trunk's output to one hidden state for each future token.

B rows, T positions, D width, N prediction heads; index 0 is head 1, the next token. Head i predicts token t + i.

A new kind is one class here, with `forward(trunk_BTD, context) -> (N, B, T, D)`, one line in `HEADS`, and one in `KINDS` of
lab/config/kinds.py, which says what it is made of: from that follow the depth of the trunk, parameters and FLOPs. What is
taken off the trunk of L layers stands in each class; formulas and counts in docs/heads.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.config import ModelSettings
from lab.errors import LabError
from lab.model.layers import Layer, RmsNorm


@dataclass(frozen=True)
class Context:
    """What prediction heads may use besides the trunk's output.

    Attributes:
        rotary: Turns of the rotary positions.
        embedded_BTD: Token embeddings of the row, for kinds that are told tokens ahead.
        detached: Whether prediction heads 2..N send no gradient to the trunk, the embedding or prediction head 1. Every kind
            honours it or refuses it. The network cuts the norm behind them, and the loss the unembedding.
    """

    rotary: Tensor
    embedded_BTD: Tensor
    detached: bool = False

    def cut(self, states: Tensor) -> Tensor:
        """States as a prediction head above 1 may see them: without a way back if `detached`."""
        return states.detach() if self.detached else states


class ParallelHeads(nn.Module):
    """One transformer layer for each prediction head, all on the trunk's output (the paper's default, section 2).

    Trunk of L - n layers, next-token path of L - n + 1: the parameters of n = 1 exactly. With `replicated` unembeddings
    (Tab S4) the same, and n - 1 unembeddings more, which do not count as non-embedding parameters.
    """

    def __init__(self, settings: ModelSettings, n_future: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(settings) for _ in range(n_future))

    def forward(self, trunk_BTD: Tensor, context: Context) -> Tensor:
        seen = [trunk_BTD] + [context.cut(trunk_BTD)] * (len(self.layers) - 1)
        return torch.stack([layer(states_BTD, context.rotary) for layer, states_BTD in zip(self.layers, seen, strict=True)])


class LinearHeads(nn.Module):
    """One matrix for each prediction head, head 1 among them, and no nonlinearity (Tab S4).

    A matrix is a twelfth of a layer: the trunk keeps L layers up to n = 6, L - 1 up to n = 18, and the parameters differ from
    those of L layers by at most half a layer: by n d^2 up to n = 6.
    """

    def __init__(self, settings: ModelSettings, n_future: int) -> None:
        super().__init__()
        self.matrices = nn.ModuleList(nn.Linear(settings.width, settings.width, bias=False) for _ in range(n_future))

    def forward(self, trunk_BTD: Tensor, context: Context) -> Tensor:
        seen = [trunk_BTD] + [context.cut(trunk_BTD)] * (len(self.matrices) - 1)
        return torch.stack([matrix(states_BTD) for matrix, states_BTD in zip(self.matrices, seen, strict=True)])


class CausalHeads(nn.Module):
    """One transformer layer for each prediction head, head i on the output of head i - 1 (appendix B).

    Trunk of L - n layers, next-token path of L - n + 1, as in `parallel`: the parameters of n = 1 exactly.
    """

    def __init__(self, settings: ModelSettings, n_future: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(settings) for _ in range(n_future))

    def forward(self, trunk_BTD: Tensor, context: Context) -> Tensor:
        first, *further = self.layers
        states = [first(trunk_BTD, context.rotary)]
        before_BTD = context.cut(states[0])
        for layer in further:
            before_BTD = layer(before_BTD, context.rotary)
            states.append(before_BTD)
        return torch.stack(states)


class AnticausalHeads(nn.Module):
    """One transformer layer for each prediction head, head i on the output of head i + 1: farthest token first (appendix B).

    Trunk of L - n layers: the parameters of n = 1 exactly. The next-token path goes through all heads and keeps L layers.
    Heads 2..N are layers of the next-token path, so that they cannot be detached from it.
    """

    def __init__(self, settings: ModelSettings, n_future: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(settings) for _ in range(n_future))

    def forward(self, trunk_BTD: Tensor, context: Context) -> Tensor:
        if context.detached and len(self.layers) > 1:
            raise LabError("anticausal prediction heads 2..N are layers of the next-token path and cannot be detached from it")
        states, before_BTD = [], trunk_BTD
        for layer in reversed(self.layers):
            before_BTD = layer(before_BTD, context.rotary)
            states.append(before_BTD)
        return torch.stack(states[::-1])


class SequentialModule(nn.Module):
    """What `SequentialHeads` has for each head above 1: two norms, a projection from 2 D to D, a transformer layer."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.state_norm = RmsNorm(settings.width)
        self.token_norm = RmsNorm(settings.width)
        self.projection = nn.Linear(2 * settings.width, settings.width, bias=False)
        self.layer = Layer(settings)

    def forward(self, states_BTD: Tensor, told_BTD: Tensor, rotary: Tensor) -> Tensor:
        both = torch.cat([self.state_norm(states_BTD), self.token_norm(told_BTD)], dim=-1)
        out: Tensor = self.layer(self.projection(both), rotary)
        return out


class SequentialHeads(nn.Module):
    """Head i reads the state of head i - 1 and is told token t + i - 1 (DeepSeek-V3, arXiv 2412.19437, section 2.2).

    Teacher-forced in training and in evaluation: at position t head i knows the tokens up to t + i - 1, which another kind of
    head i does not, so that its losses are not to be compared with theirs. Where the row ends before token t + i - 1 it is told
    nothing (zeros); such a position has no target, and no earlier one looks at it. DeepSeek's module k is head k + 1.

    Head 1 is one layer, a further head a layer, a projection of 2 d^2 and two norms: the trunk keeps L - n layers up to n = 3
    (2 (n - 1) d^2 too many), L - n - 1 up to n = 9, and the parameters differ from those of L layers by at most half a layer.
    """

    def __init__(self, settings: ModelSettings, n_future: int) -> None:
        super().__init__()
        self.first = Layer(settings)
        self.further = nn.ModuleList(SequentialModule(settings) for _ in range(n_future - 1))

    def forward(self, trunk_BTD: Tensor, context: Context) -> Tensor:
        embedded_BTD = context.cut(context.embedded_BTD)
        states = [self.first(trunk_BTD, context.rotary)]
        before_BTD = context.cut(states[0])
        for ahead, module in enumerate(self.further, start=1):
            before_BTD = module(before_BTD, from_ahead(embedded_BTD, ahead), context.rotary)
            states.append(before_BTD)
        return torch.stack(states)


def from_ahead(states_BTD: Tensor, ahead: int) -> Tensor:
    """At each position the state that stands so many places later; zeros past the end: a b c, 1 ahead, is b c 0."""
    return F.pad(states_BTD[:, ahead:], (0, 0, 0, min(ahead, states_BTD.shape[1])))


class ResidualBlock(nn.Module):
    """x + SiLU(W x), with W from zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.from_zero = nn.Linear(width, width, bias=False)

    def forward(self, states_BTD: Tensor) -> Tensor:
        return states_BTD + F.silu(self.from_zero(states_BTD))


class ResidualHeads(nn.Module):
    """One residual block for each prediction head above 1 (Medusa, Cai et al. 2024, arXiv 2401.10774, section 2.1.1).

    Head 1 is the trunk's output, since Medusa keeps the model's own next-token path; and each block starts at zero, as there,
    so that each head begins as the next-token prediction. Medusa gives each head an unembedding of its own and a bias: here
    the unembedding is shared, as in the paper, and there are no biases. Medusa's extra head k is head k + 1.

    A block is a twelfth of a layer: the trunk keeps L layers up to n = 7, L - 1 up to n = 19; n = 1 is exactly a plain network
    of L layers, and the parameters differ from it by at most half a layer: by (n - 1) d^2 up to n = 7.
    """

    def __init__(self, settings: ModelSettings, n_future: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ResidualBlock(settings.width) for _ in range(n_future - 1))

    def forward(self, trunk_BTD: Tensor, context: Context) -> Tensor:
        seen_BTD = context.cut(trunk_BTD)
        return torch.stack([trunk_BTD, *(block(seen_BTD) for block in self.blocks)])


HEADS: dict[str, type[nn.Module]] = {
    "parallel": ParallelHeads,
    "linear": LinearHeads,
    "replicated": ParallelHeads,
    "causal": CausalHeads,
    "anticausal": AnticausalHeads,
    "sequential": SequentialHeads,
    "residual": ResidualHeads,
}
