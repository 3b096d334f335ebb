"""Prediction heads: from the trunk's output to one hidden state for each future token.

B sequences, T positions, D width, N prediction heads, counted from 1: head i predicts token t + i.

A kind is a module with `__init__(spec: NetworkSpec)` and `forward(trunk_BTD, heads, context)`, which returns a list of states
(B, T, D), one for each head in `heads`:
- its matrices are `lab.model.layers.Linear`, whose `init` says how their weights are drawn;
- the state of head i goes through `context.visit("prediction.<i>.residual", state)`, as in a `Layer` named `prediction.<i>`;
- the input of a head above 1 comes from `context.head_input`, which detaches it, or takes it from `model.head_layer`.
`lab.config.kinds.KINDS` has what each kind costs, docs/heads.md the formulas and counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.errors import LabError
from lab.model.attention import attention_pattern
from lab.model.cache import CacheSlots
from lab.model.context import Context
from lab.model.kernels import apply_rope
from lab.model.layers import Layer, Linear, RmsNorm, RopeCache
from lab.model.spec import NetworkSpec


class LayerHeads(nn.Module):
    """One transformer layer for each prediction head: a trunk of L - n layers, and the parameters of n = 1 exactly."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(spec.model, f"prediction.{head}") for head in range(1, spec.n_future + 1))


class ParallelHeads(LayerHeads):
    """All layers on the trunk's output (the paper's default, section 2), a next-token path of L - n + 1 layers.

    With `replicated` unembeddings (Tab S4) there are n - 1 unembeddings more, which are not non-embedding parameters.
    """

    def forward(self, trunk_BTD: Tensor, heads: Sequence[int], context: Context) -> list[Tensor]:
        return [self.layers[head - 1](context.head_input(trunk_BTD, head), context) for head in heads]


class CausalHeads(LayerHeads):
    """Layer i on the output of layer i - 1 (appendix B), a next-token path of L - n + 1 layers."""

    def forward(self, trunk_BTD: Tensor, heads: Sequence[int], context: Context) -> list[Tensor]:
        states, before_BTD = dict[int, Tensor](), trunk_BTD
        for head in range(1, max(heads) + 1):
            inputs_BTD = context.head_input(before_BTD, head) if head == 2 else before_BTD
            states[head] = before_BTD = self.layers[head - 1](inputs_BTD, context)
        return [states[head] for head in heads]


class AnticausalHeads(LayerHeads):
    """Layer i on the output of layer i + 1: farthest token first (appendix B).

    The next-token path goes through all heads and keeps L layers, so that heads 2..N cannot be detached from it.
    """

    def forward(self, trunk_BTD: Tensor, heads: Sequence[int], context: Context) -> list[Tensor]:
        if context.detached and len(self.layers) > 1:
            raise LabError("anticausal prediction heads 2..N are layers of the next-token path and cannot be detached from it")
        states, before_BTD = dict[int, Tensor](), trunk_BTD
        for head in range(len(self.layers), min(heads) - 1, -1):
            states[head] = before_BTD = self.layers[head - 1](before_BTD, context)
        return [states[head] for head in heads]


class LinearHeads(nn.Module):
    """One matrix for each prediction head, head 1 included, and no nonlinearity (Tab S4).

    A matrix is a twelfth of a layer: the trunk keeps L layers up to n = 6, L - 1 up to n = 18, and the parameters differ from
    those of L layers by at most half a layer: by n d^2 up to n = 6.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.matrices = nn.ModuleList(Linear(spec.model.width, spec.model.width) for _ in range(spec.n_future))

    def forward(self, trunk_BTD: Tensor, heads: Sequence[int], context: Context) -> list[Tensor]:
        return [
            context.visit(f"prediction.{head}.residual", self.matrices[head - 1](context.head_input(trunk_BTD, head)))
            for head in heads
        ]


class SequentialModule(nn.Module):
    """A head above 1 of `SequentialHeads`: two norms, a projection from 2 D to D, a transformer layer."""

    def __init__(self, spec: NetworkSpec, head: int) -> None:
        super().__init__()
        self.state_norm = RmsNorm(spec.model.width, spec.model.norm_epsilon)
        self.token_norm = RmsNorm(spec.model.width, spec.model.norm_epsilon)
        self.projection = Linear(2 * spec.model.width, spec.model.width)
        self.layer = Layer(spec.model, f"prediction.{head}")

    def forward(self, states_BTD: Tensor, next_embeddings_BTD: Tensor, context: Context) -> Tensor:
        both = torch.cat([self.state_norm(states_BTD), self.token_norm(next_embeddings_BTD)], dim=-1)
        out: Tensor = self.layer(self.projection(both), context)
        return out


class SequentialHeads(nn.Module):
    """Head i reads the state of head i - 1 and token t + i - 1 (DeepSeek-V3, arXiv 2412.19437, section 2.2).

    Teacher-forced in training and in evaluation: at position t head i reads the tokens up to t + i - 1, which head i of another
    kind does not, so that its losses do not compare with theirs. Where the sequence ends before token t + i - 1, zeros take the
    place of its embedding; such a position has no target, and no earlier one attends to it. DeepSeek's module k is head k + 1.

    Head 1 is one layer, a further head a layer, a projection of 2 d^2 and two norms: the trunk keeps L - n layers up to n = 3
    (2 (n - 1) d^2 too many), L - n - 1 up to n = 9, and the parameters differ from those of L layers by at most half a layer.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.first = Layer(spec.model, "prediction.1")
        self.further = nn.ModuleList(SequentialModule(spec, head) for head in range(2, spec.n_future + 1))

    def forward(self, trunk_BTD: Tensor, heads: Sequence[int], context: Context) -> list[Tensor]:
        if context.slots is not None:
            return self.forward_cached(trunk_BTD, heads, context, context.slots)
        embedded_BTD = context.head_input(context.embedded_BTD, 2)
        states = [self.first(trunk_BTD, context)]
        before_BTD = context.head_input(states[0], 2)
        for ahead in range(1, max(heads)):
            before_BTD = self.further[ahead - 1](before_BTD, shift_back(embedded_BTD, ahead), context)
            states.append(before_BTD)
        return [states[head - 1] for head in heads]

    def forward_cached(self, trunk_BTD: Tensor, heads: Sequence[int], context: Context, slots: CacheSlots) -> list[Tensor]:
        """Compute states from a cache: when token t is fed, head i computes its state at position t - i + 1.

        So each head has a state for each token that is fed. The first i - 1 of a sequence mean nothing.
        """
        states = [self.first(trunk_BTD, context)]
        slots.keep("prediction.1", states[0])
        for head in range(2, max(heads) + 1):
            states.append(self.compute_head(head, context, slots))
        return [states[head - 1] for head in heads]

    def compute_head(self, head: int, context: Context, slots: CacheSlots) -> Tensor:
        """Compute the states of a head above 1 at some slots from their tokens and the states that the head before kept."""
        context = replace(context, slots=slots.hide_first(head - 1, context.embedded_BTD.dtype))
        state_BTD: Tensor = self.further[head - 2](slots.recall(f"prediction.{head - 1}"), context.embedded_BTD, context)
        slots.keep(f"prediction.{head}", state_BTD)
        return state_BTD


def shift_back(states_BTD: Tensor, ahead: int) -> Tensor:
    """Return at each position the state `ahead` positions later, zeros past the end: a b c with 1 ahead is b c 0."""
    return F.pad(states_BTD[:, ahead:], (0, 0, 0, min(ahead, states_BTD.shape[1])))


class ResidualBlock(nn.Module):
    """x + SiLU(W x), with W = 0 at initialisation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.from_zero = Linear(width, width, init="zero")

    def forward(self, states_BTD: Tensor) -> Tensor:
        return states_BTD + F.silu(self.from_zero(states_BTD))


class ResidualHeads(nn.Module):
    """One residual block for each prediction head above 1 (Medusa, Cai et al. 2024, arXiv 2401.10774, section 2.1.1).

    Head 1 is the trunk's output, since Medusa keeps the model's own next-token path; and each block starts at zero, so that
    each head starts as the next-token prediction. Medusa gives each head an unembedding of its own and a bias: here the
    unembedding is shared, as in the paper, and there are no biases. Medusa's extra head k is head k + 1.

    A block is a twelfth of a layer: the trunk keeps L layers up to n = 7, L - 1 up to n = 19; n = 1 is exactly a plain network
    of L layers, and the parameters differ from it by at most half a layer: by (n - 1) d^2 up to n = 7.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ResidualBlock(spec.model.width) for _ in range(spec.n_future - 1))

    def forward(self, trunk_BTD: Tensor, heads: Sequence[int], context: Context) -> list[Tensor]:
        return [context.visit(f"prediction.{head}.residual", self._state(trunk_BTD, head, context)) for head in heads]

    def _state(self, trunk_BTD: Tensor, head: int, context: Context) -> Tensor:
        if head == 1:
            return trunk_BTD
        state_BTD: Tensor = self.blocks[head - 2](context.head_input(trunk_BTD, head))
        return state_BTD


class BareHeads(nn.Module):
    """The unembedding alone: the state of head 1 is the trunk's output, that of heads 2..N the state of `model.head_layer`.

    Losses of heads 2..N train that layer and those before it, and none after (arXiv 2604.11912, second-hand). At its default
    all heads have the same logits, which learn the mixture of their targets. Trunk and parameters are those of n = 1.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()

    def forward(self, trunk_BTD: Tensor, heads: Sequence[int], context: Context) -> list[Tensor]:
        return [context.visit(f"prediction.{head}.residual", context.head_input(trunk_BTD, head)) for head in heads]


class JointAttention(nn.Module):
    """Causal attention over a short sequence at each position: half the normed state plus each of the token embeddings."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        model = spec.model
        self.n_heads = model.n_heads
        self.state_norm = RmsNorm(model.width, model.norm_epsilon)
        self.qkv = Linear(model.width, 3 * model.width)
        self.out = Linear(model.width, model.width, init="zero")
        self.rope = RopeCache(model.width // model.n_heads, model.rope_base)

    def forward(self, states_BTD: Tensor, tokens_BTND: Tensor) -> Tensor:
        """Compute the output at each entry, (B, T, N, D), which heads add to their state.

        Args:
            states_BTD: Trunk states.
            tokens_BTND: Embeddings of the tokens t to t + N - 1 of each position t.
        """
        N = tokens_BTND.shape[2]
        entries_BTND = self.state_norm(states_BTD)[:, :, None] / 2 + tokens_BTND
        qkv_XN3HK = self.qkv(entries_BTND).flatten(0, 1).unflatten(-1, (3, self.n_heads, -1))
        rope = self.rope(None, N, states_BTD.device, states_BTD.dtype)
        queries, keys = apply_rope(qkv_XN3HK[:, :, :2], rope).transpose(1, 3).unbind(2)
        values = qkv_XN3HK[:, :, 2].transpose(1, 2)
        mixed_XHNK = attention_pattern(queries, keys).to(values.dtype) @ values  # one batch of any size, unlike fused kernels
        added_BTND: Tensor = self.out(mixed_XHNK.transpose(1, 2).reshape(tokens_BTND.shape))
        return added_BTND


class JointHeads(nn.Module):
    """Head i reads the tokens t to t + i - 1, and all of the past through one state (JTP, arXiv 2503.21801, second-hand).

    Head 1 is the trunk's output z. Head i adds to z the i-th output of one attention over N entries, norm(z_t) / 2 + E x_(t+j)
    for j = 0 to N - 1, which attends to those up to its own; j is the position for RoPE. Its output matrix starts at zero, so
    that each head starts as the next-token prediction. Teacher-forced, with zeros past the end, as `SequentialHeads`.

    The attention is a third of a layer and a norm, whatever N: the trunk keeps L layers, with 4 d^2 + d parameters too many.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.n_future = spec.n_future
        self.attention = JointAttention(spec) if spec.n_future > 1 else None

    def forward(self, trunk_BTD: Tensor, heads: Sequence[int], context: Context) -> list[Tensor]:
        if context.slots is not None:
            return self.forward_cached(trunk_BTD, heads, context, context.slots)
        states = [trunk_BTD] * self.n_future
        if self.attention is not None and max(heads) > 1:
            state_BTD, embedded_BTD = (context.head_input(each, 2) for each in (trunk_BTD, context.embedded_BTD))
            tokens_BTND = torch.stack([shift_back(embedded_BTD, ahead) for ahead in range(self.n_future)], dim=2)
            added = self.attention(state_BTD, tokens_BTND).unbind(2)
            states[1:] = [state_BTD + each_BTD for each_BTD in added[1:]]
        return [context.visit(f"prediction.{head}.residual", states[head - 1]) for head in heads]

    def forward_cached(self, trunk_BTD: Tensor, heads: Sequence[int], context: Context, slots: CacheSlots) -> list[Tensor]:
        """Compute states from a cache, each when its last token is fed, as `SequentialHeads.forward_cached`."""
        slots.keep("prediction.1", trunk_BTD)
        return [trunk_BTD if head == 1 else self.compute_head(head, context, slots) for head in heads]

    def compute_head(self, head: int, context: Context, slots: CacheSlots) -> Tensor:
        """Compute the states of a head above 1 at some slots from their tokens and the states kept of earlier positions."""
        assert self.attention is not None
        slots.keep("prediction.tokens", context.embedded_BTD)
        tokens_BTND = torch.stack([slots.recall("prediction.tokens", back) for back in reversed(range(head))], dim=2)
        state_BTD = slots.recall("prediction.1", head - 1)
        added_BTND: Tensor = self.attention(state_BTD, tokens_BTND)
        return state_BTD + added_BTND[:, :, -1]
