"""A network's weights as a file, and back."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from lab.config import Experiment
from lab.errors import LabError
from lab.model import Network, build
from lab.runs.files import partial_of
from lab.runs.isolation import isolated
from lab.runs.layout import EXPERIMENT, TENSORS, WEIGHTS, newest_checkpoint
from lab.runs.tensors import load_tensors, save_tensors

_IN_CHECKPOINT = "state_dict.network."


def save_weights(network: Network, path: Path) -> None:
    """Write a network's weights as safetensors, in one step.

    Raises:
        LabError: If the file cannot be written.
    """
    partial = partial_of(path)
    try:
        save_tensors({name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_network(path: Path, experiment: Experiment) -> Network:
    """Load a run's network with its newest weights, on the CPU, in evaluation mode.

    Args:
        path: The run's folder.
        experiment: The run's settings.

    Raises:
        LabError: If there are no weights yet, or they are cut short or do not fit the experiment.
    """
    file, weights = _newest(path)
    with isolated(experiment):
        network = build(experiment)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise LabError(f"{file}: the weights do not fit {path / EXPERIMENT}") from error
    return network.eval()


def _newest(path: Path) -> tuple[Path, dict[str, Tensor]]:
    if (path / WEIGHTS).is_file():
        return path / WEIGHTS, load_tensors(path / WEIGHTS)
    checkpoint = newest_checkpoint(path)
    if checkpoint is None:
        raise LabError(f"{path}: has no weights yet")
    tensors = load_tensors(checkpoint / TENSORS)
    return checkpoint / TENSORS, {
        name.removeprefix(_IN_CHECKPOINT): tensor for name, tensor in tensors.items() if name.startswith(_IN_CHECKPOINT)
    }
