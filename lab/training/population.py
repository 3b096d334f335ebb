"""Many seeds of one experiment trained as one program, each to the numbers that it would have alone (to rounding).

Small runs leave a large device idle; stacked (`lab.model.stacked`) they share each operation. Every member has a run folder of
its own, with the metrics and checkpoints of a run alone, so that a stopped population goes on together or one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from lab.config import Experiment
from lab.errors import LabError
from lab.model import Network, build
from lab.model.stacked import member_state, stack
from lab.objectives import Part
from lab.training.checkpoint import SafetensorsIO, remove_older, write_checkpoint
from lab.training.feed import Feed
from lab.training.module import TrainingModule


class PopulationModule(TrainingModule):
    """Networks of several seeds under training, stacked.

    Attributes:
        network: All members' weights, each with a first dimension of M.
        totals: (M, N + 2), as of each member alone.
    """

    def __init__(self, experiments: Sequence[Experiment]) -> None:
        check_population(experiments)
        networks = [build(experiment) for experiment in experiments]
        super().__init__(experiments[0], networks[0])
        self._experiments, self._solo = experiments, (networks[0],)  # in a tuple it is no part of what is trained
        self.network = stack(networks)
        self.totals = self.totals.expand(len(experiments), -1).clone()

    def training_step(self, parts: Sequence[Part], batch_idx: int) -> Tensor:  # type: ignore[override]
        tokens = torch.cat([part.shown for part in parts])
        hidden = self.hidden(tokens).tensor_split(len(parts), dim=1)
        matrices = self.network.unembedding.weight.unbind(0)
        losses = [self.loss(part, *member) for part, *member in zip(parts, hidden, matrices, strict=True)]
        self.note(torch.stack([loss.heads_N for loss in losses]))
        return torch.stack([loss.total for loss in losses]).sum()

    def is_matrix(self, weight: Parameter) -> bool:
        return weight.ndim > 2

    def clip(self, weights: list[Parameter], limit: float) -> Tensor:
        """Clip each member's gradient on its own; (M,) norms before."""
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        norms_M = torch.stack([gradient.flatten(1).square().sum(1) for gradient in gradients]).sum(0).sqrt()
        shares_M = (limit / (norms_M + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(shares_M.view(-1, *[1] * (gradient.ndim - 1)))
        return norms_M

    def feed(self, first_step: int, rank: int, world: int) -> Iterable[Any]:
        return PopulationFeed(self._experiments, first_step)

    def networks(self) -> Iterator[Network]:
        """Each member's network in turn: the same object, with that member's weights."""
        solo = self._solo[0].to(self.device)
        for member in range(len(self.totals)):
            solo.load_state_dict(member_state(self.network, member))
            yield solo


class PopulationFeed:
    """The members' feeds side by side: what each would see alone."""

    def __init__(self, experiments: Sequence[Experiment], first_step: int) -> None:
        self._feeds = [Feed(experiment, first_step=first_step) for experiment in experiments]

    def __iter__(self) -> Iterator[tuple[Part, ...]]:
        return zip(*self._feeds, strict=True)


class PopulationIO(SafetensorsIO):
    """One checkpoint for each member, the same as of a run alone; older ones are removed when all of them are written."""

    def __init__(self, run_paths: Sequence[Path]) -> None:
        self._run_paths = run_paths

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Path | str, storage_options: Any | None = None) -> None:
        name = Path(path).name
        for member, run_path in enumerate(self._run_paths):
            write_checkpoint(taken(checkpoint, member), run_path / name)
        for run_path in self._run_paths:
            remove_older(run_path / name)

    def load_checkpoint(self, path: Path | str, map_location: Any | None = None, weights_only: bool | None = None) -> Any:
        name = Path(path).name
        return joined([super(PopulationIO, self).load_checkpoint(run_path / name) for run_path in self._run_paths])


def taken(value: Any, member: int) -> Any:
    """One member's part of a checkpoint: all tensors but single numbers (AdamW's step) are stacked."""
    if isinstance(value, Tensor):
        return value[member] if value.ndim else value
    if isinstance(value, dict):
        return {key: taken(item, member) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(taken(item, member) for item in value)
    return value


def joined(values: Sequence[Any]) -> Any:
    """The checkpoint of which these are the members' parts."""
    first = values[0]
    if isinstance(first, Tensor):
        return torch.stack(list(values)) if first.ndim else first
    if isinstance(first, dict):
        return {key: joined([value[key] for value in values]) for key in first}
    if isinstance(first, (list, tuple)):
        return type(first)(joined(list(items)) for items in zip(*values, strict=True))
    return first


def check_population(experiments: Sequence[Experiment]) -> None:
    """Refuse experiments that cannot be trained together.

    Raises:
        LabError: If they differ in more than the seed, share a seed, or are to train on several devices.
    """
    seeds = [experiment.seed for experiment in experiments]
    if len(set(seeds)) < len(seeds) or not seeds:
        raise LabError(f"runs that are trained together need different seeds, not {', '.join(map(str, seeds)) or 'none'}")
    if len({experiment.model_copy(update={"seed": 0}).fingerprint for experiment in experiments}) > 1:
        raise LabError("runs that are trained together must agree in everything but the seed")
    first = experiments[0]
    if first.devices > 1:
        raise LabError(f"devices must be 1 for runs that are trained together, not {first.devices}")
    if first.objective.teacherless or first.init is not None:
        raise LabError("runs that are trained together cannot be teacherless, nor begin with the weights of another run (init)")
