"""Train many seeds, or numbers of prediction heads, of one experiment as one program.

Small runs leave a large device idle; stacked (`lab.model.ensemble`) they share each operation. Each member ends with the
numbers of a run trained separately, up to rounding. It has its own run folder, with the metrics and checkpoints of a separate
run, so a stopped ensemble resumes as an ensemble or run by run.
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
from lab.model import Network, NetworkSpec, build
from lab.model.ensemble import member_name, member_state, split_members, stack
from lab.objectives import Inputs, Microbatch
from lab.objectives.schedule import make_stages
from lab.runs.checkpoint import remove_older, write_checkpoint
from lab.training.checkpoint_io import SafetensorsIO
from lab.training.feed import Feed
from lab.training.module import TrainingModule

_NETWORK = "network."
"""Prefix of the names of a network's weights in a checkpoint."""


class EnsembleModule(TrainingModule):
    """Train the stacked networks of several seeds, and perhaps numbers of prediction heads.

    N is the largest number of heads. A member with n heads uses the last n entries of every dimension of size N.

    Attributes:
        network: The weights of all members, each with a first dimension of M.
        weights_MS2N: The weight of each prediction head's loss at begin and end of each stage of training, (M, S, 2, N).
        totals: The totals of each member, (M, N + 3).
        seen: Tokens and scored tokens that each member has seen, (M, 2).
    """

    weights_MS2N: Tensor

    def __init__(self, experiments: Sequence[Experiment]) -> None:
        check_ensemble(experiments)
        networks = [build(experiment) for experiment in experiments]
        widest = max(range(len(networks)), key=lambda member: networks[member].n_future)
        super().__init__(experiments[widest], networks[widest])
        self._experiments = experiments
        self._scratch_by_n = {network.n_future: network for network in networks}  # in a dict, Lightning does not train them
        self._first = [self.network.n_future - network.n_future for network in networks]
        self.network = stack(networks)
        pairs = [[(stage.weights, stage.end) for stage in make_stages(each)] for each in experiments]
        weights = torch.stack([self._padded(torch.tensor(own)) for own in pairs])
        self.register_buffer("weights_MS2N", weights, persistent=False)
        self.totals = self.totals.expand(len(experiments), -1).clone()
        self.seen = self.seen.expand(len(experiments), -1).clone()

    def training_step(self, microbatches: Sequence[Microbatch], batch_idx: int) -> Tensor:  # type: ignore[override]
        states = self.hidden(Inputs(torch.cat([each.inputs.tokens_BS for each in microbatches])))
        # Unbind, since the gradient of a slice would be as large as that of the whole.
        hidden = torch.unflatten(states, 1, (len(microbatches), -1)).unbind(1)
        matrices = split_members(self.network.unembedding.matrices)
        weights = self.weights(self.weights_MS2N[:, self.stage].transpose(0, 1)).unbind(0)
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
        """Pad the last dimension of a member's values with zeros in front, up to N."""
        return F.pad(values, (self.experiment.n_future - values.shape[-1], 0))

    def by_run(self, totals: Tensor) -> list[Tensor]:
        return [values[first:] for values, first in zip(totals, self._first, strict=True)]

    def is_matrix(self, weight: Parameter) -> bool:
        return weight.ndim > 2

    def clip(self, weights: list[Parameter], limit: float) -> Tensor:
        """Clip the gradient of each member separately and return the norms before clipping, (M,)."""
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        if not gradients:
            return torch.zeros(len(self._experiments), device=self.device)
        norms = [torch.linalg.vector_norm(gradient.flatten(1), dim=1) for gradient in gradients]
        norms_M: Tensor = torch.linalg.vector_norm(torch.stack(norms), dim=0)
        shares_M = (limit / (norms_M + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(shares_M.view(-1, *[1] * (gradient.ndim - 1)))
        return norms_M

    def feed(self, first_step: int, rank: int, world: int) -> Iterable[Any]:
        return EnsembleFeed(self._experiments, first_step)

    def networks(self) -> Iterator[Network]:
        """Yield the network of each member; members with the same number of heads share one object, which is loaded anew."""
        for member, experiment in enumerate(self._experiments):
            network = self._scratch_by_n[experiment.n_future].to(self.device)
            network.load_state_dict(member_state(self.network, member, experiment.n_future))
            yield network

    def split_checkpoint(self, checkpoint: dict[str, Any]) -> list[dict[str, Any]]:
        """Split an ensemble's checkpoint into those of its members, as separate runs write them."""
        checkpoints = [_take_member(checkpoint, member) for member in range(len(self._experiments))]
        for own, experiment, totals in zip(checkpoints, self._experiments, self.by_run(checkpoint["totals"]), strict=True):
            own["state_dict"] = {self._member_name(name, experiment): weight for name, weight in own["state_dict"].items()}
            own["totals"] = totals
        return checkpoints

    def merge_checkpoints(self, checkpoints: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Merge the checkpoints of the members into the ensemble's."""
        for own, experiment in zip(checkpoints, self._experiments, strict=True):
            weights = own["state_dict"]
            own["state_dict"] = {name: weights[self._member_name(name, experiment)] for name in self.state_dict()}
            own["totals"] = F.pad(own["totals"], (len(self.totals[0]) - len(own["totals"]), 0))
        whole: dict[str, Any] = _merge(checkpoints)
        return whole

    def _member_name(self, name: str, experiment: Experiment) -> str:
        return _NETWORK + member_name(name.removeprefix(_NETWORK), self.network, experiment.n_future)


class EnsembleFeed:
    """An endless stream of tuples with a microbatch of each member, from the member's own feed."""

    def __init__(self, experiments: Sequence[Experiment], first_step: int) -> None:
        self._feeds = [Feed(experiment, first_step=first_step) for experiment in experiments]

    def __iter__(self) -> Iterator[tuple[Microbatch, ...]]:
        return zip(*self._feeds, strict=True)


class EnsembleIO(SafetensorsIO):
    """Write a checkpoint for each member that has not diverged, as a separate run does.

    The older checkpoints are removed after all new ones are written.
    """

    def __init__(self, module: EnsembleModule, run_paths: Sequence[Path]) -> None:
        self._module, self._run_paths = module, run_paths

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Path | str, storage_options: Any | None = None) -> None:
        name = Path(path).name
        members = enumerate(zip(self._module.split_checkpoint(checkpoint), self._run_paths, strict=True))
        sound = {run_path: own for member, (own, run_path) in members if member not in self._module.diverged}
        for run_path, own in sound.items():
            write_checkpoint(own, run_path / name)
        for run_path in sound:
            remove_older(run_path / name)

    def load_checkpoint(self, path: Path | str, map_location: Any | None = None, weights_only: bool | None = None) -> Any:
        name = Path(path).name
        return self._module.merge_checkpoints(
            [super(EnsembleIO, self).load_checkpoint(run_path / name) for run_path in self._run_paths]
        )


def _take_member(value: Any, member: int) -> Any:
    """Take one member out of a nested value; tensors are stacked, except single numbers such as AdamW's step."""
    if isinstance(value, Tensor):
        return value[member] if value.ndim else value
    if isinstance(value, dict):
        return {key: _take_member(item, member) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_take_member(item, member) for item in value)
    return value


def _merge(values: Sequence[Any]) -> Any:
    """Merge the nested values of the members: stack their tensors, except single numbers."""
    first = values[0]
    if isinstance(first, Tensor):
        return torch.stack(list(values)) if first.ndim else first
    if isinstance(first, dict):
        return {key: _merge([value[key] for value in values]) for key in first}
    if isinstance(first, (list, tuple)):
        return type(first)(_merge(list(items)) for items in zip(*values, strict=True))
    return first


def check_ensemble(experiments: Sequence[Experiment]) -> None:
    """Reject experiments that cannot train as an ensemble.

    Raises:
        LabError: If they differ in more than the seed and the number of prediction heads, two are equal, they train on several
            devices, or a setting needs all members to have the same number of heads.
    """
    members = [(experiment.seed, experiment.n_future) for experiment in experiments]
    if len(set(members)) < len(members) or not members:
        seeds = ", ".join(str(seed) for seed, _ in members) or "none"
        raise LabError(f"the runs of an ensemble must have different seeds (or numbers of prediction heads), not {seeds}")
    if len({experiment.model_copy(update={"seed": 0, "n_future": 1}).fingerprint for experiment in experiments}) > 1:
        raise LabError(
            "the runs of an ensemble must agree in all settings but the seed and n_future, and so in their steps, which differ"
            " with model.matched flops or time"
        )
    first = experiments[0]
    if first.evaluation.stop.metric is not None:
        raise LabError("the runs of an ensemble end together: evaluation.stop.metric must be null, or train them one by one")
    if first.devices > 1:
        raise LabError(f"devices must be 1 for the runs of an ensemble, not {first.devices}")
    if not first.objective.kind.plain:
        raise LabError(f"the runs of an ensemble cannot have objective.name {first.objective.name}: train them one by one")
    if first.objective.teacherless or first.init is not None:
        raise LabError("the runs of an ensemble cannot be teacherless, nor start from the weights of another run (init)")
    several = len({experiment.n_future for experiment in experiments}) > 1
    partly = any(len(stage.trained) < each.n_future for each in experiments for stage in make_stages(each))
    if several and (first.objective.detached or partly):
        raise LabError("the runs of an ensemble with different n_future must train all heads and detach none")


def check_stackable(experiments: Sequence[Experiment]) -> None:
    """Reject experiments whose networks cannot be stacked, without drawing their weights.

    Raises:
        LabError: As `lab.model.ensemble.stack`.
    """
    with torch.device("meta"):
        stack([Network(NetworkSpec.of(experiment)) for experiment in experiments])
