"""Training that begins with the weights of a finished run: fine-tuning, or prediction heads added to a trained model.

Embedding, unembedding, norms, trunk and the prediction heads that both networks have are taken over; heads that only the new
one has begin fresh, those that only the old one has are left (Gloeckle et al. 2024, section 3.6 and appendix D).
"""

from __future__ import annotations

import hashlib
from typing import Any

from lab.config import Experiment
from lab.errors import LabError
from lab.model import Network
from lab.runs.layout import WEIGHTS
from lab.runs.run import Run
from lab.runs.weights import load_network
from lab.training.affected import reached

_ALIKE = ("width", "n_heads", "heads", "mlp", "rope_base")
"""Settings of the model in which both must agree."""


def start_from(network: Network, experiment: Experiment, before: str = "") -> dict[str, Any]:
    """Give a new network the weights of the run that the experiment's `init` names.

    Args:
        network: With its initial weights, which are replaced in place.
        experiment: What the network is trained for.
        before: SHA-256 of the weights with which the training began that is begun again; empty if it is new.

    Returns:
        For the run's record: what was loaded from where, and what began fresh.

    Raises:
        LabError: If there is no such run, it is not finished, its network does not fit, or its weights are not those of
            `before`.
    """
    assert experiment.init is not None
    run = Run(experiment.init)
    if run.state != "finished":
        raise LabError(f"init must be a finished run, and {run.path} is {run.state}")
    run.check_unedited()
    _check_fit(run, experiment)
    digest = hashlib.sha256((run.path / WEIGHTS).read_bytes()).hexdigest()
    if before not in ("", digest):
        raise LabError(f"init {run.path}: has other weights than when this run began; train a new run")
    old, new = load_network(run.path, run.experiment).state_dict(), network.state_dict()
    fresh = [name for name in new if name not in old]
    for name in set(new) - set(fresh):
        new[name].copy_(old[name])
    path = reached(network, [1])
    missing = [name for name in fresh if name in path and name != "mask"]
    if missing:
        raise LabError(f"init {run.path}: has no weights for {missing[0]}, which the next-token head computes with")
    return {
        "run": str(run.path),
        "fingerprint": run.experiment.fingerprint,
        "steps": run.experiment.steps,
        "weights": digest,
        "fresh": sorted({".".join(name.split(".")[:3]) for name in fresh}),
    }


def _check_fit(run: Run, experiment: Experiment) -> None:
    before = run.experiment
    for name in _ALIKE:
        old, new = getattr(before.model, name), getattr(experiment.model, name)
        if old != new:
            raise LabError(f"model.{name} must be {old}, that of init {run.path}, not {new}")
    if before.task.vocab_size != experiment.task.vocab_size:
        old, new = before.task.vocab_size, experiment.task.vocab_size
        raise LabError(f"task {experiment.task.name} has {new} token ids, that of init {run.path} {old}: they must agree")
    if before.trunk_layers != experiment.trunk_layers:
        layers = before.trunk_layers + experiment.model.layers - experiment.trunk_layers
        raise LabError(
            f"model.layers must be {layers}, not {experiment.model.layers}, for the {before.trunk_layers} trunk layers "
            f"of init {run.path} at n_future {experiment.n_future}"
        )
