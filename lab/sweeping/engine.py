"""A sweep from its description to its results: checked, set up, worked on, summed up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from optuna.study import Study
from rich.console import Console

from lab.errors import LabError
from lab.sweeping.results import Results, results
from lab.sweeping.spec.check import Checked, check, check_folder
from lab.sweeping.spec.configurations import planned_trials
from lab.sweeping.spec.description import Sweep
from lab.sweeping.spec.files import from_mapping, load
from lab.sweeping.study.storage import check_url
from lab.sweeping.study.study import AGAIN, Job, Place, ask_again, is_exhausted, open_study, refuse_others, set_up
from lab.sweeping.workers.follow import Follow
from lab.sweeping.workers.local import default_workers, gpus, run_local

Description = Sweep | Mapping[str, Any] | Path | str
"""A sweep, its plain values, or its YAML file."""


@dataclass(frozen=True)
class Prepared:
    """A sweep against which nothing is to be said.

    Attributes:
        job: What workers need to know.
        checked: What the check found.
        threads: CPU threads of its most demanding run.
        devices: GPUs of this machine that its runs would use.
        uses_gpus: Whether its runs would use GPUs where there are any.
    """

    job: Job
    checked: Checked
    threads: int
    devices: list[int]
    uses_gpus: bool


def prepare(
    description: Description, out: Path | str | None = None, storage: str | None = None, *, books: Path | None = None
) -> Prepared:
    """Check a sweep and the place where it is to lie; nothing is written.

    Args:
        description: The sweep.
        out: Folder of its runs; `runs/<name>` by default.
        storage: URL of a storage; by default a journal beside the runs.
        books: Folder of all that is no run; `out` by default.

    Raises:
        LabError: For whatever is wrong with it.
    """
    if isinstance(description, Sweep):
        sweep = description
    else:
        sweep = from_mapping(description) if isinstance(description, Mapping) else load(description)
    try:
        checked = check(sweep)
    except LabError as error:
        raise LabError(f"{description}: {error}" if isinstance(description, (str, Path)) else str(error)) from error
    sweep = sweep.model_copy(update={"metrics": checked.metrics})
    experiments = [experiment for _, experiment in checked.possible]
    if storage is not None:
        check_url(storage)
    runs = Path(out) if out is not None else Path("runs") / sweep.name
    job = Job(sweep, Place(runs, books or runs, storage), max(experiment.steps for experiment in experiments))
    check_folder(sweep, runs)
    refuse_others(job)
    accelerators = {experiment.accelerator for experiment in experiments}
    devices = gpus("cpu" if accelerators == {"cpu"} else "auto")
    threads = max(experiment.threads for experiment in experiments)
    return Prepared(job, checked, threads, devices, uses_gpus=accelerators != {"cpu"})


def sweep(
    description: Description,
    out: Path | str | None = None,
    *,
    workers: int | None = None,
    storage: str | None = None,
    engine: Literal["local", "ray"] = "local",
    address: str | None = None,
    per_device: int = 1,
    retry_failed: bool = False,
    console: Console | None = None,
) -> Results:
    """Start a sweep, or go on with it after any stop, until its budget is spent.

    Args:
        description: The sweep, its plain values, or its YAML file.
        out: Folder of its runs; `runs/<name>` by default.
        workers: Runs at a time; by default cores by the experiments' threads, or `per_device` for each GPU.
        storage: `postgresql://...`; by default a journal beside the runs.
        engine: Processes of this machine, or tasks of a Ray cluster.
        address: Of the cluster, as `auto` or `ray://host:10001`; by default one is started on this machine.
        per_device: Workers that share a GPU.
        retry_failed: Whether the failed runs of a grid are tried once more, from their checkpoints.
        console: Where progress is shown; by default nowhere.

    Raises:
        LabError: For whatever is wrong with it, before anything runs, or if the storage is lost.
        KeyboardInterrupt: After Ctrl-C, with everything saved.
    """
    prepared = prepare(description, out, storage)
    console = console or Console(quiet=True)
    if engine == "ray":
        found = run_on_cluster(prepared, workers, console, per_device=per_device, address=address, retry_failed=retry_failed)
    else:
        count = workers or default_workers(prepared.threads, prepared.devices, per_device)
        found = run_locally(prepared, count, console, retry_failed=retry_failed)
    found.write()
    return found


def look(description: Description, out: Path | str | None = None, storage: str | None = None) -> Results:
    """The results so far of a sweep that runs, was stopped or is finished; nothing is written.

    Raises:
        LabError: If it was never started.
    """
    return inspect(prepare(description, out, storage).job)


def inspect(job: Job) -> Results:
    """The results so far of a job whose study exists.

    Raises:
        LabError: If it does not.
    """
    return results(job, open_study(job))


def run_locally(
    prepared: Prepared, workers: int, console: Console, *, retry_failed: bool = False, evaluations: bool = False
) -> Results:
    """Do a prepared sweep with processes of this machine; see `sweep`. `evaluations`: whether each is shown."""

    def engine(job: Job, follow: Follow) -> None:
        run_local(job, workers, prepared.devices, follow)

    return run(prepared, engine, console, retry_failed=retry_failed, evaluations=evaluations)


def run_on_cluster(
    prepared: Prepared,
    workers: int | None,
    console: Console,
    *,
    per_device: int = 1,
    address: str | None = None,
    retry_failed: bool = False,
) -> Results:
    """Do a prepared sweep with tasks of a Ray cluster; see `sweep`."""
    from lab.sweeping.workers.cluster import run_on_ray

    def engine(job: Job, follow: Follow) -> None:
        run_on_ray(job, workers, prepared.threads, per_device, prepared.uses_gpus, address, follow)

    return run(prepared, engine, console, retry_failed=retry_failed)


def run(
    prepared: Prepared,
    engine: Callable[[Job, Follow], None],
    console: Console,
    *,
    retry_failed: bool = False,
    evaluations: bool = False,
) -> Results:
    """Set a prepared sweep up, have an engine's workers do what is left of it, and sum it up."""
    job = prepared.job
    study = set_up(job)
    if job.sweep.grid is not None:
        ask_again(job, study, retry_failed=retry_failed)
    elif retry_failed:
        raise LabError("retry-failed is for a grid; a search goes on to other cells")
    total, done, left = _left(study, job.sweep)
    if left:
        with Follow(console, total, done, evaluations=evaluations) as follow:
            engine(job, follow)
    return results(job, study)


def _left(study: Study, sweep: Sweep) -> tuple[int | None, int, bool]:
    """Trials in all (None if only time ends the sweep), those that are over, and whether anything is left to do."""
    planned = planned_trials(sweep)
    total = None if planned is None else planned + len(study.user_attrs.get(AGAIN, ()))
    trials = study.get_trials(deepcopy=False)
    done = sum(trial.state.is_finished() for trial in trials)
    return total, done, done < len(trials) or not is_exhausted(study, sweep, len(trials))
