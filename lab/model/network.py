"""The network: embedding, trunk, prediction heads, unembedding (Gloeckle et al. 2024, section 2).

B rows, T positions, N prediction heads (index 0 is head 1, the next token), D width, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.config import Experiment
from lab.config.kinds import KINDS
from lab.model.heads import HEADS, Context
from lab.model.layers import Layer, RmsNorm, RotaryTable
from lab.model.unembedding import Unembedding


class Network(nn.Module):
    """A Llama-like transformer with N prediction heads.

    `network(tokens)` gives hidden states before the unembedding, so that losses and decoders choose which logits they form.

    Attributes:
        n_future: N.
        path_layers: Transformer layers between a token and the next-token logits.
        teacher_forced: Whether prediction head i at position t is told the tokens up to t + i - 1.
        mask: (D,), the embedding of a hidden token, whose id is V; None unless the objective is teacherless.
    """

    def __init__(self, experiment: Experiment) -> None:
        super().__init__()
        settings, vocabulary = experiment.model, experiment.task.vocab_size
        self.n_future = experiment.n_future
        self.embedding = nn.Embedding(vocabulary, settings.width)
        self.rotary = RotaryTable(settings.width // settings.n_heads, settings.rope_base)
        self.trunk = nn.ModuleList(Layer(settings) for _ in range(experiment.trunk_layers))
        self.heads = HEADS[settings.heads](settings, experiment.n_future)
        self.norm = RmsNorm(settings.width)
        kind = KINDS[settings.heads]
        self.teacher_forced = kind.teacher_forced
        self.path_layers = experiment.trunk_layers + kind.path_layers(experiment.n_future)
        self.unembedding = Unembedding(settings.width, vocabulary, experiment.n_future if kind.replicated else None)
        self.mask = nn.Parameter(torch.empty(settings.width)) if experiment.objective.teacherless else None
        self._initialise()

    def forward(self, tokens_BT: Tensor, detached: bool = False) -> Tensor:
        """Hidden states of all prediction heads, normed: `unembedding` makes logits of them.

        Args:
            tokens_BT: (B, T) int64; V for a hidden token.
            detached: Whether prediction heads 2..N send no gradient to the trunk, the embedding, prediction
                head 1 or the norm behind them.

        Returns:
            (N, B, T, D).
        """
        rotary = self.rotary(tokens_BT.shape[1], tokens_BT.device, self.embedding.weight.dtype)
        states_BTD = embedded_BTD = self._embed(tokens_BT)
        for layer in self.trunk:
            states_BTD = layer(states_BTD, rotary)
        hidden_NBTD: Tensor = self.heads(states_BTD, Context(rotary, embedded_BTD, detached))
        if detached and self.n_future > 1:
            return torch.cat([self.norm(hidden_NBTD[:1]), self.norm(hidden_NBTD[1:], frozen=True)])
        normed_NBTD: Tensor = self.norm(hidden_NBTD)
        return normed_NBTD

    def logits(self, tokens_BT: Tensor, head: int = 1) -> Tensor:
        """Logits (B, T, V) of one prediction head, counted from 1: at position t they predict token t + head."""
        logits_BTV: Tensor = self.unembedding(self(tokens_BT)[head - 1], head)
        return logits_BTV

    def non_embedding_parameters(self) -> int:
        """Parameters of trunk, prediction heads and norms: what the paper's sizes count."""
        outside = sum(weight.numel() for part in (self.embedding, self.unembedding) for weight in part.parameters())
        outside += 0 if self.mask is None else self.mask.numel()
        return sum(parameter.numel() for parameter in self.parameters()) - outside

    def _embed(self, tokens_BT: Tensor) -> Tensor:
        if self.mask is None:
            embedded_BTD: Tensor = self.embedding(tokens_BT)
            return embedded_BTD
        return F.embedding(tokens_BT, torch.cat([self.embedding.weight, self.mask[None]]))

    def _initialise(self) -> None:
        """Normal weights of variance 1 / inputs; what writes to the residual stream is scaled down by its number of writers."""
        writers = 2 * self.path_layers  # on the next-token path
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                scale = module.in_features**-0.5
                if name.endswith((".out", ".down")):
                    scale *= writers**-0.5
                if name.endswith(".from_zero"):
                    scale = 0.0
                nn.init.normal_(module.weight, std=scale)
        self.unembedding.initialise()
        nn.init.normal_(self.embedding.weight, std=1.0)
        if self.mask is not None:  # the last, so that all other weights are those of a network without it
            nn.init.normal_(self.mask, std=1.0)


def build(experiment: Experiment) -> Network:
    """The network of an experiment with its initial weights, which depend on the seed and on nothing else that is random."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(experiment.seed)
        return Network(experiment)
