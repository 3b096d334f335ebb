"""Frames: runs as one tidy pandas table."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from lab.config.files import flat
from lab.errors import LabError
from lab.runs import metrics
from lab.runs.run import EXPERIMENT, METRICS, Run, complain

ALWAYS = ("n_future", "seed")


def frame(runs: Iterable[Run]) -> pd.DataFrame:
    """One row for each (run, step, metric). Runs whose tables cannot be read are left out and named on standard error.

    Returns:
        Columns `run` (a path that no other run has: below the folder that was opened, else below one that holds all), `task`
        (its name), `n_future`, `seed`, every other setting in which the runs differ by its dotted name, `parameters`
        (non-embedding), `state` (see `Run.state`), then `step` (optimiser steps), `tokens` (seen in training, all but
        padding), `scored_tokens` (targets that trained the next-token head; NaN of older runs), `sequences` (steps x
        batch_size), `flops` (of training, see `lab.config.cost.flops_per_token`), `seconds` (wall time of the run, evaluation
        included), `metric`, `value` (losses in nats).

    Raises:
        LabError: If no run's tables can be read.
    """
    measured: list[tuple[Run, pd.DataFrame]] = []
    unreadable: list[LabError] = []
    for run in {run.path.resolve(): run for run in runs}.values():
        try:
            measured.append((run, _measurements(run)))
        except LabError as error:
            unreadable.append(error)
    complain(unreadable, all_failed=not measured)
    for run, _ in measured:
        if run.is_edited:
            print(f"lab: {run.path / EXPERIMENT}: was changed since the run began; its settings may be wrong", file=sys.stderr)
    settings = [flat(run.experiment.model_dump(mode="json")) for run, _ in measured]
    names = list(dict.fromkeys(name for values in settings for name in values))
    varied = [name for name in names if len({str(values.get(name)) for values in settings}) > 1]
    columns = [*ALWAYS, *(name for name in varied if name not in (*ALWAYS, "task.name"))]
    parts = []
    for (run, part), values, key in zip(measured, settings, keys([run for run, _ in measured]), strict=True):
        described = {"run": key, "task": run.experiment.task.name, **{name: _cell(values.get(name)) for name in columns}}
        described |= {"parameters": run.record["non_embedding_parameters"], "state": run.state}
        for position, (name, value) in enumerate(described.items()):
            part.insert(position, name, pd.Series([value] * len(part), index=part.index))
        parts.append(part)
    filled = [part for part in parts if len(part)] or parts[:1]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def keys(runs: Sequence[Run]) -> list[str]:
    """What tells runs apart: their keys, or where two share one their paths below the folder that holds all of them."""
    own = [run.key for run in runs]
    if len(set(own)) == len(own):
        return own
    paths = [run.path.absolute() for run in runs]
    above = os.path.commonpath([path.parent for path in paths])
    return [path.relative_to(above).as_posix() for path in paths]


def _measurements(run: Run) -> pd.DataFrame:
    """What a run measured, and what it had cost by then.

    Raises:
        LabError: If its tables cannot be read, have two values of a metric at a step, or are missing though it is finished.
    """
    rows = run.metrics()
    if not rows and run.state == "finished":
        raise LabError(f"{run.path / METRICS}: missing or empty, though the run is finished")
    part = pd.DataFrame(rows, columns=metrics.METRICS)
    part.insert(3, "sequences", part["step"] * run.experiment.batch_size)
    part.insert(4, "flops", part["step"] * float(run.experiment.flops_per_step))
    part.insert(5, "seconds", part["step"].map(run.seconds()).astype(float))
    return part


def _cell(value: Any) -> Any:
    """A setting as a table can group it: a list as its text."""
    return str(value) if isinstance(value, list) else value
