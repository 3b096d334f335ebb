"""Start training from the weights of a finished run: fine-tune it, or add prediction heads to a trained model.

The new network takes embedding, unembedding, norms, trunk and the prediction heads that both networks have. Heads of the new
network alone keep their initial weights; heads of the old network alone are dropped (Gloeckle et al. 2024, section 3.6 and
appendix D).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from lab.config import Experiment
from lab.errors import LabError
from lab.model import Network
from lab.runs.layout import WEIGHTS
from lab.runs.run import Run
from lab.runs.weights import load_network
from lab.training.affected import affected_parameters

_ALIKE = ("width", "n_heads", "heads", "mlp", "inner_width", "norm_epsilon", "rope_base")
"""Settings of the model that must be equal in both runs."""


def start_from(network: Network, experiment: Experiment, before: str = "") -> dict[str, Any]:
    """Load the weights of the run that the experiment's `init` names into a new network.

    Args:
        network: A network with its initial weights, which this replaces in place.
        experiment: The experiment of the new run.
        before: SHA-256 of the weights from which the run started before; empty if it is new.

    Returns:
        Entries for the run's record: the run, its weights, and the parts of the network that keep their initial weights.

    Raises:
        LabError: If the run does not exist or is not finished, its network does not fit, or the digest of its weights is not
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
    trained = load_network(run.path, run.experiment)
    old, new = trained.state_dict(), network.state_dict()
    fresh, dropped = [name for name in new if name not in old], [name for name in old if name not in new]
    if missing := _of_next_token(network, fresh):
        raise LabError(f"init {run.path}: has no weights for {missing[0]}, which the next-token head computes with")
    if lost := _of_next_token(trained, dropped):
        raise LabError(f"init {run.path}: its next-token head computes with {lost[0]}, which the new network lacks")
    for name in set(new) - set(fresh):
        new[name].copy_(old[name])
    return {
        "run": str(run.path),
        "fingerprint": run.experiment.fingerprint,
        "steps": run.record.get("last_step", run.experiment.steps),
        "weights": digest,
        "fresh": sorted({".".join(name.split(".")[:3]) for name in fresh}),
    }


def _of_next_token(network: Network, names: Sequence[str]) -> list[str]:
    """Return those of some weights that prediction head 1 computes with; the embedding of hidden tokens is none of them."""
    needed = affected_parameters(network, [1]) if names else set()
    return [name for name in names if name in needed and name != "mask"]


def _check_fit(run: Run, experiment: Experiment) -> None:
    """Reject a run whose network does not fit the experiment's."""
    before = run.experiment
    further_heads = min(before.n_future, experiment.n_future) > 1
    for name in (*_ALIKE, "head_layer") if further_heads else _ALIKE:
        old, new = ("null" if each is None else each for each in (getattr(before.model, name), getattr(experiment.model, name)))
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
