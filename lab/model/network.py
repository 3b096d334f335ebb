"""The network: embedding, trunk, prediction heads, unembedding (Gloeckle et al. 2024, section 2).

B sequences, T positions, N prediction heads (head 1 predicts the next token), D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.config import Experiment
from lab.errors import LabError
from lab.model.cache import Cache
from lab.model.context import Context, Sites
from lab.model.layers import Layer, Linear, RmsNorm, RopeCache
from lab.model.spec import NetworkSpec
from lab.model.unembedding import Unembedding
from lab.registry import load_object

WORKSPACE_TOKENS = 32
"""Most new tokens of each sequence with which a pass uses a workspace."""


class Network(nn.Module):
    """A Llama-like transformer with N prediction heads.

    `network(tokens)` returns hidden states before the unembedding, so that losses and decoders choose which logits they form.

    Attributes:
        spec: What it was built from.
        head_layer: Number of trunk layers that prediction heads 2..N read.
        mask: (D,), the embedding of a hidden token, whose id is V; None without `NetworkSpec.hidden_token`.
        sites: What `lab.model.sites` edits and records in each forward pass; None in training.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        settings = spec.model
        self.spec = spec
        self.sites: Sites | None = None
        self.embedding = nn.Embedding(spec.vocabulary, settings.width)
        self.rope = RopeCache(settings.width // settings.n_heads, settings.rope_base)
        self.trunk = nn.ModuleList(Layer(settings, f"trunk.{number}") for number in range(spec.trunk_layers))
        self.head_layer = settings.head_layer or spec.trunk_layers
        self.heads = load_object(spec.kind.module, "model.heads")(spec)
        self.norm = RmsNorm(settings.width, settings.norm_epsilon)
        self.unembedding = Unembedding(settings.width, spec.vocabulary, spec.n_future if spec.kind.replicated else None)
        self.mask = nn.Parameter(torch.empty(settings.width)) if spec.teacherless or spec.hidden_token else None
        self._initialise()

    @property
    def n_future(self) -> int:
        """N."""
        return self.spec.n_future

    def forward(self, tokens_BT: Tensor, heads: Sequence[int] | None = None, context: Context | None = None) -> Tensor:
        """Compute normed hidden states of prediction heads, which `unembedding` turns into logits.

        Args:
            tokens_BT: (B, T) int64; V for a hidden token.
            heads: Which heads, counted from 1; None for all. Others are computed only if these depend on them.
            context: Positions, mask, cache, and whether heads 2..N are detached; by default causal attention from position 0.

        Returns:
            (heads, B, T, D).

        Raises:
            LabError: If there is no such head, or a head cannot be computed from a cache.
        """
        heads = range(1, self.n_future + 1) if heads is None else heads
        if not heads or min(heads) < 1 or max(heads) > self.n_future:
            raise LabError(f"heads must be between 1 and n_future = {self.n_future}, not {list(heads)}")
        if context is not None and context.computed is not None:
            self._check_computed(context.computed[0], heads)
        if context is not None and context.cache is not None:
            if self.spec.kind.teacher_forced and max(heads) > 1 and not hasattr(self.heads, "forward_cached"):
                raise LabError(f"heads must be [1] with a cache, not {list(heads)}: the others read tokens ahead")
            with torch.no_grad():
                hidden_NBTD = self.forward_heads(*self.forward_trunk(tokens_BT, context), heads)
            context.cache.advance(tokens_BT.shape[1])
            return hidden_NBTD
        return self.forward_heads(*self.forward_trunk(tokens_BT, context, self.layers_before(min(heads))), heads)

    def layers_before(self, head: int) -> int:
        """Return the number of trunk layers whose output a prediction head, counted from 1, reads."""
        return len(self.trunk) if head == 1 else self.head_layer

    def forward_trunk(
        self, tokens_BT: Tensor, context: Context | None = None, layers: int | None = None
    ) -> tuple[Tensor, Context]:
        """Compute the output (B, T, D) of the trunk, or of its first `layers`; and complete the context for `forward_heads`."""
        context = self.complete_context(tokens_BT, context)
        done, states_BTD = context.computed or (0, context.embedded_BTD)
        for number, layer in list(enumerate(self.trunk))[done:layers]:
            if number == self.head_layer:
                context = replace(context, branch_BTD=states_BTD)
            states_BTD = layer(states_BTD, context)
        return states_BTD, context

    def forward_heads(self, trunk_BTD: Tensor, context: Context, heads: Sequence[int]) -> Tensor:
        """Compute normed states (heads, B, T, D) of prediction heads from the trunk's output and context of `forward_trunk`."""
        hidden_NBTD = torch.stack(self.heads(trunk_BTD, heads, context))  # frees the single states before the norm
        return self._normed(hidden_NBTD, heads, context)

    def logits(self, tokens_BT: Tensor, head: int = 1) -> Tensor:
        """Compute logits (B, T, V) of one prediction head, counted from 1: at position t they predict token t + head."""
        return self.unembed(self(tokens_BT, [head])[0], head)

    def next_logits(self, tokens_BT: Tensor) -> Tensor:
        """Compute the next-token logits (B, V) after the last position."""
        return self.unembed(self(tokens_BT, [1])[0, :, -1:], 1)[:, 0]

    def unembed(self, hidden_BTD: Tensor, head: int) -> Tensor:
        """Compute logits (B, T, V) of hidden states of one prediction head, counted from 1."""
        logits_BTV: Tensor = self.unembedding(hidden_BTD, head)
        return logits_BTV if self.sites is None else self.sites.visit(f"logits.{head}", logits_BTV)

    def complete_context(self, tokens_BT: Tensor, context: Context | None = None) -> Context:
        """Complete a context with RoPE of the positions, token embeddings and sites, which layers read."""
        context = context or Context()
        if context.cache is not None:
            return self._complete_cached(tokens_BT, context, context.cache)
        rope = self.rope(context.positions, tokens_BT.shape[1], tokens_BT.device, self.embedding.weight.dtype)
        context = replace(context, rope=rope, sites=self.sites)
        return replace(context, embedded_BTD=context.visit("embedding", self._embed(tokens_BT)))

    def _check_computed(self, done: int, heads: Sequence[int]) -> None:
        """Reject computed trunk layers that hide the state that a prediction head reads."""
        if done > self.layers_before(max(heads)):
            raise LabError(
                f"context.computed must have at most model.head_layer = {self.head_layer} trunk layers, not {done}, for heads"
                f" {list(heads)}"
            )

    def _complete_cached(self, tokens_BT: Tensor, context: Context, cache: Cache) -> Context:
        """Complete a context that has a cache."""
        if self.sites is not None:
            raise LabError("context.cache must be None where activations are read or edited: give the whole sequence")
        T, model, dtype = tokens_BT.shape[1], self.spec.model, self.embedding.weight.dtype
        slots = context.slots or cache.next_slots(T, model.n_heads, dtype, context.mask)
        eager = not torch.compiler.is_compiling() and not torch.is_autocast_enabled("cpu")
        has_complex = dtype != torch.bfloat16  # a workspace rotates queries and keys as complex numbers
        if tokens_BT.is_cpu and T <= WORKSPACE_TOKENS and eager and has_complex:
            slots = slots.with_workspace(cache.workspace(T, model.n_heads, model.width, dtype, model.norm_epsilon))
        if context.positions is None and slots.begin is not None:
            rope = self.rope.forward(None, slots.end, tokens_BT.device, dtype)[slots.begin :]
        else:
            positions = slots.indices_BT if context.positions is None else context.positions
            rope = self.rope.forward(positions, T, tokens_BT.device, dtype)
        return Context(
            cache=cache,
            computed=context.computed,
            detached=context.detached,
            slots=slots,
            rope=rope,
            embedded_BTD=self._embed(tokens_BT),
        )

    def non_embedding_parameters(self) -> int:
        """Count the parameters of trunk, prediction heads and norms: those that the paper's sizes count."""
        outside = sum(weight.numel() for part in (self.embedding, self.unembedding) for weight in part.parameters())
        outside += 0 if self.mask is None else self.mask.numel()
        return sum(parameter.numel() for parameter in self.parameters()) - outside

    def _embed(self, tokens_BT: Tensor) -> Tensor:
        if self.mask is None:
            embedded_BTD: Tensor = self.embedding(tokens_BT)
            return embedded_BTD
        return F.embedding(tokens_BT, torch.cat([self.embedding.weight, self.mask[None]]))

    def _normed(self, hidden_NBTD: Tensor, heads: Sequence[int], context: Context) -> Tensor:
        if context.detached:
            pairs = zip(heads, hidden_NBTD.unbind(), strict=True)
            normed_NBTD = torch.stack([self.norm(each, frozen=head > 1) for head, each in pairs])
        else:
            normed_NBTD = self.norm(hidden_NBTD)
        if context.sites is None:
            return normed_NBTD
        pairs = zip(heads, normed_NBTD.unbind(), strict=True)
        return torch.stack([context.visit(f"final.{head}", each) for head, each in pairs])

    def _initialise(self) -> None:
        """Draw all weights, so that they depend on the generator and the spec alone."""
        for module in self.modules():
            if isinstance(module, Linear):
                module.initialise(writers=2 * self.spec.path_layers)  # to the residual stream of the next-token path
        self.unembedding.initialise()
        nn.init.normal_(self.embedding.weight, std=1.0)
        if self.mask is not None:  # last, so that all other weights are those of a network without it
            nn.init.normal_(self.mask, std=1.0)


def build(experiment: Experiment) -> Network:
    """Build the network of an experiment, with initial weights that depend on its seed and on no other generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(experiment.seed)
        return Network(NetworkSpec.of(experiment))
