"""A network's weights as a file, and back."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from lab.errors import LabError
from lab.model import Network, build
from lab.runs.checkpoint import load_tensors, save_tensors
from lab.runs.files import partial_of
from lab.runs.run import TENSORS, WEIGHTS, Run
from lab.training.launch import isolated

_IN_CHECKPOINT = "state_dict.network."


def save_weights(network: Network, path: Path) -> None:
    """Write a network's weights as safetensors, in one step.

    Raises:
        LabError: If the system refuses.
    """
    partial = partial_of(path)
    try:
        save_tensors({name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_network(run: Run) -> Network:
    """The network of a run with its newest weights, on the CPU, in evaluation mode.

    Raises:
        LabError: If there are none yet, or they are cut short or do not fit the experiment.
    """
    path, weights = _newest(run)
    with isolated(run.experiment):
        network = build(run.experiment)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise LabError(f"{path}: the weights do not fit {run.path / 'experiment.yaml'}") from error
    return network.eval()


def _newest(run: Run) -> tuple[Path, dict[str, Tensor]]:
    path = run.path / WEIGHTS
    if path.is_file():
        return path, load_tensors(path)
    checkpoint = run.checkpoint()
    if checkpoint is None:
        raise LabError(f"{run.path}: has no weights yet (state: {run.state})")
    tensors = load_tensors(checkpoint / TENSORS)
    inside = {name.removeprefix(_IN_CHECKPOINT): tensor for name, tensor in tensors.items() if name.startswith(_IN_CHECKPOINT)}
    return checkpoint / TENSORS, inside
