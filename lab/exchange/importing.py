"""Read a published Llama as a network of ours, and as a run where the task is known."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lab.config import Experiment, load
from lab.config.files import from_settings
from lab.errors import LabError
from lab.evaluation.evaluator import Evaluator
from lab.evaluation.state import has_finite_weights
from lab.exchange.exporting import CONFIG, CONSOLIDATED, INDEX, ORIGINAL, PARAMS
from lab.model import Network
from lab.model.convert import from_release, from_transformers
from lab.model.layouts import RELEASE, to_layout
from lab.runs import Run
from lab.runs.files import read_json, readable_errors
from lab.runs.isolation import isolated
from lab.runs.layout import EXPERIMENT, WEIGHTS
from lab.runs.tensors import load_tensors
from lab.runs.weights import save_weights
from lab.runs.writer import Recorder, check_free
from tasks import Task


def read_llama(folder: Path | str) -> Network:
    """Read a Llama as a network for which every instrument works, on the CPU, in float32 and evaluation mode.

    Args:
        folder: With `config.json` and `model.safetensors`, whole or in shards, as `transformers` saves a Llama and Fast-LLM an
            `mtp_llama`; `original/` beside them, as `lab.export` writes it, has its further prediction heads. Or with
            `params.json` and `consolidated.pth` or `.safetensors`, as in the paper's release.

    Raises:
        LabError: If files are missing or damaged, or our network cannot express the model: the message names the first setting
            or weight that does not fit.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise LabError(f"{folder}: no such folder")
    config, params = folder / CONFIG, folder / PARAMS
    if not config.is_file() and not params.is_file():
        raise LabError(f"{folder}: not a Llama (it holds neither {CONFIG} nor {PARAMS})")
    if not config.is_file():
        return _build(from_release, params, _consolidated(folder))
    network = _build(from_transformers, config, _saved(folder))
    original = folder / ORIGINAL
    if (original / PARAMS).is_file() and _mapping(original / PARAMS).get("n_future_tokens", 1) != 1:
        return _with_heads(network, original)
    return network


def import_llama(folder: Path | str, out: Path | str, task: Task | None = None) -> Run:
    """Read a Llama and write it as a finished run, which every instrument, `lab.decode` and `lab.evaluate` take.

    The run has no training: its metrics are those of the network, at step 1.

    Args:
        folder: As of `read_llama`.
        out: The run's folder, which must not exist.
        task: Whose tokens the Llama reads; by default that of the `experiment.yaml` which `lab.export` writes.

    Raises:
        LabError: As `read_llama`; if the folder exists, there is no task, the Llama has another vocabulary, or no settings
            describe it. Nothing is written then.
    """
    folder, out = Path(folder), Path(out)
    check_free(out)
    network = read_llama(folder)
    if task is None:
        if not (folder / EXPERIMENT).is_file():
            raise LabError(f"{folder}: holds no {EXPERIMENT}, so that a task must be given")
        task = load(folder / EXPERIMENT, check_files=False).task
    experiment = _experiment(network, task, folder)
    if not has_finite_weights(network):
        raise LabError(f"{folder}: a weight is not finite")
    with isolated(experiment):
        values = Evaluator(experiment)(network, step=1)
    recorder = Recorder.create(out, experiment, {"imported": str(folder.resolve())})
    try:
        recorder.record_metrics(1, 0, 0, values, speed=0.0)
        save_weights(network, out / WEIGHTS)
        recorder.set_state("finished")
    finally:
        recorder.close()
    return Run(out)


def _experiment(network: Network, task: Task, folder: Path) -> Experiment:
    """Return an experiment whose network has the shape of another one."""
    if task.vocab_size != network.spec.vocabulary:
        raise LabError(
            f"{folder}: the vocabulary must have the {task.vocab_size} tokens of {task.name}, not {network.spec.vocabulary}"
        )
    settings = {
        "task": task,
        "n_future": network.n_future,
        "model": network.spec.model.model_dump(mode="json"),
        "steps": 1,
        "schedule": {"warmup_steps": 0},
        "accelerator": "cpu",
    }
    try:
        return from_settings(settings)
    except LabError as error:
        raise LabError(f"{folder}: {error}") from error


def _with_heads(network: Network, original: Path) -> Network:
    """Return a network with the prediction heads above 1 of a release's layout."""
    params, weights = original / PARAMS, _consolidated(original)
    own = to_layout(network, RELEASE)
    further = {name: weight for name, weight in weights.items() if name.startswith("extra_heads.")}
    complete = _build(from_release, params, own | further)
    first, second = network.spec.model, complete.spec.model
    n = complete.n_future
    if first.model_copy(update={"layers": first.layers + n - 1}) != second:
        raise LabError(f"{params}: the network must be that of {original.parent / CONFIG}")
    return complete


def _build(build: Callable[..., Network], config: Path, weights: Mapping[str, Tensor]) -> Network:
    """Build a network from a file of settings and weights beside it, in float32."""
    try:
        return build(_mapping(config), weights).float()
    except LabError as error:
        raise LabError(f"{config}: {error}") from error


def _mapping(path: Path) -> dict[str, Any]:
    values = read_json(path)
    if not isinstance(values, dict):
        raise LabError(f"{path}: must hold a mapping")
    return values


def _saved(folder: Path) -> dict[str, Tensor]:
    """Read the weights that `transformers` saved, in one file or several; one comes first, as it does there."""
    if (folder / WEIGHTS).is_file() or not (folder / INDEX).is_file():
        return load_tensors(folder / WEIGHTS)
    shards = _mapping(folder / INDEX).get("weight_map")
    if not isinstance(shards, dict) or not all(isinstance(name, str) and Path(name).name == name for name in shards.values()):
        raise LabError(f"{folder / INDEX}: weight_map must be a mapping from weights to files beside it")
    return {name: weight for file in sorted(set(shards.values())) for name, weight in load_tensors(folder / file).items()}


def _consolidated(folder: Path) -> dict[str, Tensor]:
    """Read the weights of a release: safetensors, or what torch saved, of which nothing but tensors is loaded."""
    if (folder / CONSOLIDATED).is_file():
        return load_tensors(folder / CONSOLIDATED)
    files = sorted(folder.glob("consolidated*.pth"))
    if len(files) != 1:
        raise LabError(f"{folder}: must hold {CONSOLIDATED} or one consolidated.pth, not {len(files)} of them")
    with readable_errors(files[0]):
        try:
            weights = torch.load(files[0], map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, zipfile.BadZipFile) as error:
            raise LabError(f"{files[0]}: not a whole file of weights") from error
    if not isinstance(weights, dict) or not all(isinstance(weight, Tensor) for weight in weights.values()):
        raise LabError(f"{files[0]}: must hold weights by name")
    return {name: weight for name, weight in weights.items() if isinstance(weight, Tensor)}
