"""Run folders that are written without training."""

import json
from collections.abc import Mapping
from pathlib import Path

import lab
from lab.config import Experiment, dump
from lab.model import build
from lab.runs import tables
from lab.runs.layout import FORMAT, WEIGHTS
from lab.runs.weights import save_weights


def make_run(
    path: Path,
    experiment: Experiment,
    curve: Mapping[int, Mapping[str, float]] | None = None,
    *,
    state: str = "finished",
    weights: bool = False,
) -> lab.Run:
    """Write the folder of a run and open it.

    Args:
        path: The folder, which must not exist.
        experiment: What the run trained.
        curve: Metrics of the run by step.
        state: State of the run.
        weights: Whether to write weights; they are those at initialisation.
    """
    path.mkdir(parents=True)
    (path / "experiment.yaml").write_text(dump(experiment))
    record = {"format": FORMAT, "state": state, "wall_seconds": 250.0, "commit": "0123abc", "versions": {"torch": "2"}}
    record |= {"non_embedding_parameters": experiment.non_embedding_parameters}
    (path / "run.json").write_text(json.dumps(record))
    for step, values in (curve or {}).items():
        tables.append_metrics(path / "metrics.csv", step, step * experiment.positions_per_step, step, dict(values))
    if weights:
        save_weights(build(experiment), path / WEIGHTS)
    return lab.Run(path)
