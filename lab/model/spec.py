"""Everything that determines a network except its weights."""

from __future__ import annotations

from dataclasses import dataclass

from lab.config import Experiment, ModelSettings
from lab.config.cost import trunk_layers
from lab.config.kinds import HeadKind, find_kind


@dataclass(frozen=True)
class NetworkSpec:
    """What a network is built from.

    Attributes:
        model: Width, depth, attention heads, MLP, kind of prediction heads.
        vocabulary: V, token ids.
        n_future: N, prediction heads.
        teacherless: Whether the answer is always hidden from the network: it never reads one.
        hidden_token: Whether it has an embedding for hidden tokens, whose id is V; a teacherless network always has.
    """

    model: ModelSettings
    vocabulary: int
    n_future: int = 1
    teacherless: bool = False
    hidden_token: bool = False

    @classmethod
    def of(cls, experiment: Experiment) -> NetworkSpec:
        """Return the spec of an experiment's network."""
        objective = experiment.objective
        hides = bool(objective.teacherless) or objective.kind.hidden_token
        return cls(experiment.model, experiment.task.vocab_size, experiment.n_future, objective.teacherless is True, hides)

    @property
    def kind(self) -> HeadKind:
        """The kind of prediction heads."""
        return find_kind(self.model.heads)

    @property
    def trunk_layers(self) -> int:
        """Layers that all prediction heads share; see `lab.config.cost.trunk_layers`."""
        return trunk_layers(self.model, self.n_future)

    @property
    def path_layers(self) -> int:
        """Transformer layers between a token and the next-token logits."""
        return self.trunk_layers + self.kind.path_layers(self.n_future)
