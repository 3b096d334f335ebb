"""Runs' folders without any training."""

import json
from collections.abc import Mapping
from pathlib import Path

import lab
from lab.config import Experiment, dump
from lab.model import build
from lab.runs import metrics
from lab.runs.run import FORMAT, WEIGHTS
from lab.runs.weights import save_weights


def finished(path: Path, experiment: Experiment, curve: Mapping[int, Mapping[str, float]], *, weights: bool = False) -> lab.Run:
    """A finished run's folder with given metrics, by step; its weights, if there are any, are those at the beginning."""
    path.mkdir(parents=True)
    (path / "experiment.yaml").write_text(dump(experiment))
    record = {"format": FORMAT, "state": "finished", "wall_seconds": 250.0, "commit": "0123abc", "versions": {"torch": "2"},
              "non_embedding_parameters": experiment.non_embedding_parameters}  # fmt: skip
    (path / "run.json").write_text(json.dumps(record))
    for step, values in curve.items():
        metrics.append_metrics(path / "metrics.csv", step, step * experiment.positions_per_step, step, dict(values))
    if weights:
        save_weights(build(experiment), path / WEIGHTS)
    return lab.Run(path)
