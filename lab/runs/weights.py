"""A network's weights as a file, and back."""

from __future__ import annotations

from pathlib import Path

import torch

from lab.config import Experiment
from lab.errors import LabError
from lab.model import Network, build
from lab.runs.files import partial_of
from lab.runs.isolation import isolated
from lab.runs.layout import EXPERIMENT, TENSORS, list_steps, weights_by_step
from lab.runs.tensors import load_tensors, save_tensors

_IN_CHECKPOINT = "state_dict.network."


def save_weights(network: Network, path: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write a network's weights as safetensors, in one step.

    Args:
        network: The network.
        path: The file.
        dtype: Type of the numbers in the file.

    Raises:
        LabError: If the file cannot be written.
    """
    partial = partial_of(path)
    try:
        save_tensors({name: tensor.detach().to("cpu", dtype) for name, tensor in network.state_dict().items()}, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_network(path: Path, experiment: Experiment, step: int | None = None) -> Network:
    """Load a run's network, on the CPU, in evaluation mode.

    Args:
        path: The run's folder.
        experiment: The run's settings.
        step: Of the weights; by default the newest.

    Raises:
        LabError: If there are no weights, or none of this step, or they are cut short or do not fit the experiment.
    """
    file = find_weights(path, experiment, step)
    weights = load_tensors(file)
    if file.name == TENSORS:
        named = {name: tensor for name, tensor in weights.items() if name.startswith(_IN_CHECKPOINT)}
        weights = {name.removeprefix(_IN_CHECKPOINT): tensor for name, tensor in named.items()}
    with isolated(experiment):
        network = build(experiment)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise LabError(f"{file}: the weights do not fit {path / EXPERIMENT}") from error
    return network.eval()


def find_weights(path: Path, experiment: Experiment, step: int | None = None) -> Path:
    """Find the file with a run's weights at a step, by default the newest.

    Raises:
        LabError: If the run has no weights, or none of this step; it names the steps there are.
    """
    files = weights_by_step(path, experiment.steps)
    if not files:
        raise LabError(f"{path}: has no weights yet")
    if step is None:
        return files[max(files)]
    if step not in files:
        raise LabError(f"{path}: has no weights of step {step}; step must be one of {list_steps([*files])}")
    return files[step]
