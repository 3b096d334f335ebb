"""A run, opened for reading, and several runs as one tidy table."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.config import Experiment, load
from lab.config.files import flat
from lab.errors import LabError
from lab.registry import load_object
from lab.runs import tables
from lab.runs.files import report_unreadable
from lab.runs.layout import EXPERIMENT, METRICS, RECORD, TIMING, is_run, newest_checkpoint, weights_by_step
from lab.runs.lock import LOCK, is_locked
from lab.runs.names import headline
from lab.runs.record import has_first_settings, read_record
from tasks.errors import nearest

if TYPE_CHECKING:
    import pandas as pd

    from lab.model import Network

ALWAYS = ("n_future", "seed")
"""Settings that are columns of every frame."""


class Run:
    """A run's folder, opened for reading.

    Attributes:
        path: The folder.
        key: Its name in a frame: the path below the folder that it was opened from, else the folder's name.
        experiment: Its settings.
        record: The content of `run.json`.
    """

    def __init__(self, path: Path | str) -> None:
        """Open a run.

        Raises:
            LabError: If the folder is missing, no run, or written by another version of its format.
        """
        self.path = Path(path)
        self.key = self.name
        if not self.path.is_dir():
            raise LabError(f"{self.path}: no such folder")
        if not is_run(self.path):
            raise LabError(f"{self.path}: not a run (it holds no {RECORD})")
        self.record: dict[str, Any] = read_record(self.path)
        self.experiment: Experiment = load(self.path / EXPERIMENT, check_files=False)  # a run opens without its corpus

    def __repr__(self) -> str:
        return f"<Run {self.path}: {', '.join(f'{name} {value}' for name, value in self._facts().items())}>"

    def _repr_html_(self) -> str:
        rows = {"run": str(self.path), **self._facts()}.items()
        lines = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
        return f"<table>{lines}</table>"

    def _facts(self) -> dict[str, str]:
        """Return what the run is and how far it is, in words."""
        one, model = self.experiment, self.experiment.model
        facts = {"task": one.task.name, "n": str(one.n_future), "seed": str(one.seed), "state": self.state}
        facts["model"] = f"{model.layers} layers of width {model.width}"
        with suppress(LabError):  # its tables may be damaged
            last = {row.metric: row for row in self.metrics()}
            facts |= {
                name: f"{last[name].value:.3f} at step {last[name].step}/{one.steps}" for name in {headline(one)} & last.keys()
            }
        return facts

    def __getitem__(self, metric: str) -> pd.Series:
        """Return the values of a metric by step; a notebook completes its name.

        Raises:
            LabError: If the run has no such metric.
        """
        import pandas as pd

        found = {row.step: row.value for row in self.metrics() if row.metric == metric}
        if not found:
            raise LabError(f"{self.path}: has no metric {metric!r}; {nearest(str(metric), self.metric_names())}")
        return pd.Series(found, name=metric, dtype=float).rename_axis("step")

    def metric_names(self) -> list[str]:
        """List the metrics that the run has measured."""
        return list(dict.fromkeys(row.metric for row in self.metrics()))

    _ipython_key_completions_ = metric_names

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    @property
    def state(self) -> str:
        """`running` (a process trains it now), `killed`, `stopped` (by a signal, state saved), `finished` or `diverged`.

        Of a sweep also `pruned` (ended early) or `failed`.
        """
        state = str(self.record["state"])
        if state == "running" and not is_locked(self.path / LOCK):
            state = str(read_record(self.path)["state"])  # it may have ended since the run was opened
            return "killed" if state == "running" else state
        return state

    @property
    def is_edited(self) -> bool:
        """Whether `experiment.yaml` describes another experiment than at the start of the run.

        Comments do not matter. A run of an older version has no digest of the file, and its fingerprint may lack settings that
        have come since: it does not count as edited.
        """
        if self.record.get("experiment_sha256") is None or has_first_settings(self.path, self.record):
            return False
        return bool(self.record.get("fingerprint") != self.experiment.fingerprint)

    def check_unedited(self) -> None:
        """Reject a run whose settings were edited after it began.

        Raises:
            LabError: Naming the file.
        """
        if self.is_edited:
            raise LabError(f"{self.path / EXPERIMENT}: was changed since the run began; restore it, or train a new run")

    def check_data(self) -> None:
        """Reject a run whose task reads files that have changed since the run began.

        Raises:
            LabError: Naming the run.
        """
        if self.record.get("data", "") not in ("", self.experiment.task.fingerprint):
            raise LabError(f"{self.path}: the files of its task {self.experiment.task.name} have changed since it began")

    @property
    def last_written(self) -> datetime:
        """The last time the run wrote a file, in local time."""
        times = [path.stat().st_mtime for name in (RECORD, METRICS, TIMING) if (path := self.path / name).exists()]
        return datetime.fromtimestamp(max(times)).astimezone()

    def frame(self) -> pd.DataFrame:
        """Return the metrics of this run as a tidy table; see `frame`."""
        return frame([self])

    def steps(self) -> list[int]:
        """List the steps whose weights the run has: those it keeps (`checkpoint.keep`), and the last.

        The last of an unfinished run is that of its newest checkpoint.
        """
        return list(weights_by_step(self.path, self.experiment.steps))

    def model(self, step: int | None = None) -> Network:
        """Load the network, on the CPU, in evaluation mode.

        Args:
            step: One of `steps()`; by default the last.

        Raises:
            LabError: If there are no weights, or none of this step, or they are cut short or do not fit the experiment.
        """
        from lab.runs.weights import load_network

        return load_network(self.path, self.experiment, step)

    def metrics(self) -> list[tables.Row]:
        """Read the table of metrics; empty before the first evaluation."""
        path = self.path / METRICS
        return tables.read_metrics(path) if path.exists() else []

    def seconds(self) -> dict[int, float]:
        """Read the wall time in seconds at each evaluation point, by step."""
        return tables.read_seconds(self.path / TIMING)

    def checkpoint(self) -> Path | None:
        """Return the folder of the newest checkpoint, None if there is none."""
        return newest_checkpoint(self.path)

    def watch(self) -> None:
        """Show this run's learning curve and progress until it has ended; see `lab.watch`."""
        load_object("lab.sweeping.watch:watch", "watch")(self)


def frame(runs: Iterable[Run]) -> pd.DataFrame:
    """Return runs as one tidy table: a row for each (run, step, metric).

    Runs whose tables cannot be read are left out and named on standard error.

    Returns:
        Columns `run` (a path that no other run has: below the folder that was opened, else below one that holds all), `task`
        (its name), `n_future`, `seed`, every other setting in which the runs differ by its dotted name, `parameters`
        (non-embedding), `state` (see `Run.state`), `reached` (what ended the run early, see `evaluation.stop`; only where a run
        did), then `step` (optimiser steps), `tokens` (seen in training, all but
        padding), `scored_tokens` (targets that trained the next-token head; NaN of older runs), `sequences` (steps x
        batch_size), `flops` (of training, see `lab.config.cost.flops_per_token`), `seconds` (wall time of the run, evaluation
        included), `metric`, `value` (losses in nats).

    Raises:
        LabError: If no run's tables can be read.
    """
    measured: list[tuple[Run, list[tables.Row]]] = []
    unreadable: list[LabError] = []
    for run in {run.path.resolve(): run for run in runs}.values():
        try:
            measured.append((run, _recorded(run)))
        except LabError as error:
            unreadable.append(error)
    report_unreadable(unreadable, all_failed=not measured)
    for run, _ in measured:
        if run.is_edited:
            print(f"lab: {run.path / EXPERIMENT}: was changed since the run began; its settings may be wrong", file=sys.stderr)
    return tabulate(measured)


def tabulate(measured: Sequence[tuple[Run, Sequence[tables.Row]]]) -> pd.DataFrame:
    """Return measurements of runs as one tidy table, with the columns of `frame`."""
    import pandas as pd

    described = describe([run for run, _ in measured])
    parts = []
    for (run, rows), (_, columns) in zip(measured, described.iterrows(), strict=True):
        one = run.experiment
        part = tables.with_cost(rows, run.seconds(), one.batch_size, float(one.flops_per_step))
        for position, (name, value) in enumerate(columns.items()):
            part.insert(position, str(name), pd.Series([value] * len(part), index=part.index))
        parts.append(part)
    filled = [part for part in parts if len(part)] or parts[:1]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def describe(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row for each run, in order: the columns of `frame` that describe a run, from `run` to `state`."""
    import pandas as pd

    settings = [flat(run.experiment.model_dump(mode="json")) for run in runs]
    names = list(dict.fromkeys(name for values in settings for name in values))
    varied = [name for name in names if len({str(values.get(name)) for values in settings}) > 1]
    columns = [*ALWAYS, *(name for name in varied if name not in (*ALWAYS, "task.name"))]
    rows = [
        {
            "run": key,
            "task": run.experiment.task.name,
            **{name: tables.format_setting(values.get(name)) for name in columns},
            "parameters": run.record["non_embedding_parameters"],
            "state": run.state,
        }
        for run, values, key in zip(runs, settings, keys(runs), strict=True)
    ]
    described = pd.DataFrame(rows, dtype=object)
    reached = [run.record.get("reached", "") for run in runs]
    return described.assign(reached=reached) if any(reached) else described


def keys(runs: Sequence[Run]) -> list[str]:
    """Return unique names of runs: their keys, or if two are equal the paths below the folder that holds all of them."""
    own = [run.key for run in runs]
    if len(set(own)) == len(own):
        return own
    paths = [run.path.absolute() for run in runs]
    above = os.path.commonpath([path.parent for path in paths])
    return [path.relative_to(above).as_posix() for path in paths]


def _recorded(run: Run) -> list[tables.Row]:
    """Read the metrics of a run.

    Raises:
        LabError: If its tables cannot be read, have two values of a metric at a step, or are missing though it is finished.
    """
    rows = run.metrics()
    if not rows and run.state == "finished":
        raise LabError(f"{run.path / METRICS}: missing or empty, though the run is finished")
    run.seconds()
    return rows
