"""Prepare a sweep: check its settings, folders and storage before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.sweeping.spec.check import Checked, check
from lab.sweeping.spec.description import Sweep
from lab.sweeping.spec.files import from_mapping, load
from lab.sweeping.spec.plan import Plan, plan
from lab.sweeping.study.place import Job, Place, check_runs
from lab.sweeping.study.storage import check_url
from lab.sweeping.study.study import check_unused
from lab.sweeping.workers.settings import Demand, measure_demand

Description = Sweep | Mapping[str, Any] | Path | str
"""A sweep, its plain values, or its YAML file."""


@dataclass(frozen=True)
class Prepared:
    """A sweep that can start.

    Attributes:
        job: Everything that workers need.
        checked: The sweep with its possible and impossible configurations.
        demand: The CPUs and GPUs that its runs need.
    """

    job: Job
    checked: Checked
    demand: Demand

    def plan(self) -> Plan:
        """Count its runs and estimate their time by training a few steps."""
        return plan(self.checked, on_gpu=bool(self.demand.gpus))


def prepare(
    description: Description,
    out: Path | str | None = None,
    storage: str | None = None,
    *,
    state_dir: Path | None = None,
    loggers: Sequence[str] = (),
) -> Prepared:
    """Check a sweep, its folders and its storage, without writing anything.

    Args:
        description: The sweep, its plain values, or its YAML file.
        out: Folder of its runs; by default `runs/<name>`.
        storage: URL of a storage; by default a journal beside the runs.
        state_dir: Folder of everything but the runs; by default `out`.
        loggers: Where else each run logs its metrics; see `lab.train`.

    Raises:
        LabError: If a setting is wrong, a metric unknown, or the storage cannot be reached.
        Occupied: If the folder or the storage holds something else.
    """
    if isinstance(description, Sweep):
        sweep = description
    else:
        sweep = from_mapping(description) if isinstance(description, Mapping) else load(description)
    try:
        checked = check(sweep)
    except LabError as error:
        raise LabError(f"{description}: {error}" if isinstance(description, (str, Path)) else str(error)) from error
    if storage is not None:
        check_url(storage)
    runs = Path(out) if out is not None else Path("runs") / sweep.name
    steps = max(experiment.steps for experiment in checked.experiments)
    job = Job(checked.sweep, Place(runs, state_dir or runs, storage), steps, _installed(loggers))
    check_runs(checked, runs)
    check_unused(job)
    return Prepared(job, checked, measure_demand(checked.experiments))


def _installed(loggers: Sequence[str]) -> tuple[str, ...]:
    if not loggers:
        return ()
    from lab.training.loggers import check_loggers  # takes seconds to import

    return tuple(check_loggers(loggers))
