"""Frames: runs as one tidy pandas table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from lab.config.files import flat
from lab.runs.metrics import METRICS
from lab.runs.run import Run

ALWAYS = ("n_future", "seed")


def frame(runs: Iterable[Run]) -> pd.DataFrame:
    """One row for each (run, tokens seen, metric).

    Returns:
        Columns `run` (name of the folder), `task` (its name), `n_future`, `seed`, every other setting in which the runs differ
        by its dotted name, `parameters` (non-embedding), then `step` (optimiser steps), `tokens` (seen in training, all but
        padding), `scored_tokens` (targets that trained the next-token head; NaN of older runs), `sequences` (steps x
        batch_size), `flops` (of training, see `lab.config.cost.flops_per_token`), `seconds` (wall time of the run, evaluation
        included), `metric`, `value` (losses in nats).
    """
    runs = list(runs)
    settings = [flat(run.experiment.model_dump(mode="json")) for run in runs]
    names = list(dict.fromkeys(name for values in settings for name in values))
    varied = [name for name in names if len({str(values.get(name)) for values in settings}) > 1]
    columns = [*ALWAYS, *(name for name in varied if name not in (*ALWAYS, "task.name"))]
    parts = []
    for run, values in zip(runs, settings, strict=True):
        part = pd.DataFrame(run.metrics(), columns=METRICS)
        part.insert(3, "sequences", part["step"] * run.experiment.batch_size)
        part.insert(4, "flops", part["step"] * float(run.experiment.flops_per_step))
        part.insert(5, "seconds", part["step"].map(run.seconds()).astype(float))
        described = {"run": run.name, "task": run.experiment.task.name, **{name: _cell(values.get(name)) for name in columns}}
        described["parameters"] = run.record["non_embedding_parameters"]
        for position, (name, value) in enumerate(described.items()):
            part.insert(position, name, pd.Series([value] * len(part), index=part.index))
        parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _cell(value: Any) -> Any:
    """A setting as a table can group it: a list as its text."""
    return str(value) if isinstance(value, list) else value
