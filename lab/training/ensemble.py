"""Many seeds, or numbers of prediction heads, of one experiment trained as one program, each to the numbers that it would have
alone (to rounding).

Small runs leave a large device idle; stacked (`lab.model.ensemble`) they share each operation. Every member has a run folder of
its own, with the metrics and checkpoints of a run alone, so that a stopped population goes on together or one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn import functional as F

from lab.config import Experiment
from lab.errors import LabError
from lab.model import Network, build
from lab.model.ensemble import member_name, member_state, split_members, stack
from lab.objectives import Microbatch
from lab.objectives.schedule import make_stages
from lab.runs.checkpoint import remove_older, write_checkpoint
from lab.training.checkpoint_io import SafetensorsIO
from lab.training.feed import Feed
from lab.training.module import TrainingModule

_NETWORK = "network."
"""What stands before the names of a network's weights in a checkpoint."""


class EnsembleModule(TrainingModule):
    """Networks of several seeds, and perhaps numbers of prediction heads, under training, stacked.

    A member with fewer heads than the widest, N, has the last places wherever there are N.

    Attributes:
        network: All members' weights, each with a first dimension of M.
        weights_MSN: (M, S, N) float32, what each prediction head's loss counts in each stage of training.
        totals: (M, N + 3), as of each member alone.
        seen: (M, 2), as of each member alone.
    """

    weights_MSN: Tensor

    def __init__(self, experiments: Sequence[Experiment]) -> None:
        check_ensemble(experiments)
        networks = [build(experiment) for experiment in experiments]
        super().__init__(*max(zip(experiments, networks, strict=True), key=lambda member: member[1].n_future))
        self._experiments = experiments
        self._solo = {network.n_future: network for network in networks}  # in a dict they are no part of what is trained
        self._first = [self.network.n_future - network.n_future for network in networks]
        self.network = stack(networks)
        weights = [self._padded(torch.tensor([stage.weights for stage in make_stages(each)])) for each in experiments]
        self.register_buffer("weights_MSN", torch.stack(weights), persistent=False)
        self.totals = self.totals.expand(len(experiments), -1).clone()
        self.seen = self.seen.expand(len(experiments), -1).clone()

    def training_step(self, microbatches: Sequence[Microbatch], batch_idx: int) -> Tensor:  # type: ignore[override]
        states = self.hidden(torch.cat([each.inputs_BT for each in microbatches]))
        # Unbound, since the gradient of each slice would be as large as the whole.
        hidden = torch.unflatten(states, 1, (len(microbatches), -1)).unbind(1)
        matrices, weights = split_members(self.network.unembedding.matrices), self.weights_MSN[:, self.stage].unbind(0)
        losses = [
            self.loss(microbatch, hidden_NBTD[first:], matrix, weights_N[first:])
            for microbatch, hidden_NBTD, matrix, weights_N, first in zip(
                microbatches, hidden, matrices, weights, self._first, strict=True
            )
        ]
        self.accumulate(torch.stack([self._padded(loss.heads_N) for loss in losses]))
        self.seen += torch.tensor([each.seen for each in microbatches])
        return torch.stack([loss.total for loss in losses]).sum()

    def _padded(self, values: Tensor) -> Tensor:
        """Values of fewer heads, or what else ends with them, with zeros in the first places."""
        return F.pad(values, (self.experiment.n_future - values.shape[-1], 0))

    def by_run(self, totals: Tensor) -> list[Tensor]:
        return [values[first:] for values, first in zip(totals, self._first, strict=True)]

    def is_matrix(self, weight: Parameter) -> bool:
        return weight.ndim > 2

    def clip(self, weights: list[Parameter], limit: float) -> Tensor:
        """Clip each member's gradient on its own; (M,) norms before."""
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        if not gradients:
            return torch.zeros(len(self._experiments), device=self.device)
        parts = [torch.linalg.vector_norm(gradient.flatten(1), dim=1) for gradient in gradients]
        norms_M: Tensor = torch.linalg.vector_norm(torch.stack(parts), dim=0)
        shares_M = (limit / (norms_M + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(shares_M.view(-1, *[1] * (gradient.ndim - 1)))
        return norms_M

    def feed(self, first_step: int, rank: int, world: int) -> Iterable[Any]:
        return EnsembleFeed(self._experiments, first_step)

    def networks(self) -> Iterator[Network]:
        """Each member's network in turn: of one number of heads the same object, with that member's weights."""
        for member, experiment in enumerate(self._experiments):
            solo = self._solo[experiment.n_future].to(self.device)
            solo.load_state_dict(member_state(self.network, member, experiment.n_future))
            yield solo

    def apart(self, checkpoint: dict[str, Any]) -> list[dict[str, Any]]:
        """The checkpoint of each member, as it would write it alone."""
        checkpoints = [_taken(checkpoint, member) for member in range(len(self._experiments))]
        for own, experiment, totals in zip(checkpoints, self._experiments, self.by_run(checkpoint["totals"]), strict=True):
            own["state_dict"] = {self._member_name(name, experiment): weight for name, weight in own["state_dict"].items()}
            own["totals"] = totals
        return checkpoints

    def joined(self, checkpoints: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The checkpoint of which these are the members'."""
        for own, experiment in zip(checkpoints, self._experiments, strict=True):
            weights = own["state_dict"]
            own["state_dict"] = {name: weights[self._member_name(name, experiment)] for name in self.state_dict()}
            own["totals"] = F.pad(own["totals"], (len(self.totals[0]) - len(own["totals"]), 0))
        whole: dict[str, Any] = _joined(checkpoints)
        return whole

    def _member_name(self, name: str, experiment: Experiment) -> str:
        return _NETWORK + member_name(name.removeprefix(_NETWORK), self.network, experiment.n_future)


class EnsembleFeed:
    """The members' feeds side by side: what each would see alone."""

    def __init__(self, experiments: Sequence[Experiment], first_step: int) -> None:
        self._feeds = [Feed(experiment, first_step=first_step) for experiment in experiments]

    def __iter__(self) -> Iterator[tuple[Microbatch, ...]]:
        return zip(*self._feeds, strict=True)


class EnsembleIO(SafetensorsIO):
    """One checkpoint for each member that has not diverged, the same as of a run alone.

    Older ones are removed when all of them are written.
    """

    def __init__(self, module: EnsembleModule, run_paths: Sequence[Path]) -> None:
        self._module, self._run_paths = module, run_paths

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Path | str, storage_options: Any | None = None) -> None:
        name = Path(path).name
        members = enumerate(zip(self._module.apart(checkpoint), self._run_paths, strict=True))
        sound = {run_path: own for member, (own, run_path) in members if member not in self._module.diverged}
        for run_path, own in sound.items():
            write_checkpoint(own, run_path / name)
        for run_path in sound:
            remove_older(run_path / name)

    def load_checkpoint(self, path: Path | str, map_location: Any | None = None, weights_only: bool | None = None) -> Any:
        name = Path(path).name
        return self._module.joined([super(EnsembleIO, self).load_checkpoint(run_path / name) for run_path in self._run_paths])


def _taken(value: Any, member: int) -> Any:
    """One member's part of a checkpoint: all tensors but single numbers (AdamW's step) are stacked."""
    if isinstance(value, Tensor):
        return value[member] if value.ndim else value
    if isinstance(value, dict):
        return {key: _taken(item, member) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_taken(item, member) for item in value)
    return value


def _joined(values: Sequence[Any]) -> Any:
    """The checkpoint of which these are the members' parts."""
    first = values[0]
    if isinstance(first, Tensor):
        return torch.stack(list(values)) if first.ndim else first
    if isinstance(first, dict):
        return {key: _joined([value[key] for value in values]) for key in first}
    if isinstance(first, (list, tuple)):
        return type(first)(_joined(list(items)) for items in zip(*values, strict=True))
    return first


def check_ensemble(experiments: Sequence[Experiment]) -> None:
    """Refuse experiments that cannot be trained together.

    Raises:
        LabError: If they differ in more than the seed and the number of prediction heads, do not differ in these, are to train
            on several devices, or have settings that only experiments with one number of heads can have.
    """
    members = [(experiment.seed, experiment.n_future) for experiment in experiments]
    if len(set(members)) < len(members) or not members:
        seeds = ", ".join(str(seed) for seed, _ in members) or "none"
        raise LabError(f"runs that are trained together need different seeds (or numbers of prediction heads), not {seeds}")
    if len({experiment.model_copy(update={"seed": 0, "n_future": 1}).fingerprint for experiment in experiments}) > 1:
        raise LabError(
            "runs that are trained together must agree in everything but the seed and n_future, and so in their steps, which"
            " model.matched flops and time do not leave alike"
        )
    first = experiments[0]
    if first.devices > 1:
        raise LabError(f"devices must be 1 for runs that are trained together, not {first.devices}")
    if first.objective.teacherless or first.init is not None:
        raise LabError("runs that are trained together cannot be teacherless, nor begin with the weights of another run (init)")
    several = len({experiment.n_future for experiment in experiments}) > 1
    partly = any(len(stage.trained) < each.n_future for each in experiments for stage in make_stages(each))
    if several and (first.objective.detached or partly):
        raise LabError("runs with different n_future that are trained together need all heads trained and none detached")
