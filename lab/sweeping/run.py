"""Run a sweep: set it up, train it with workers, and collect its results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from lab.errors import LabError
from lab.processes import in_notebook
from lab.sweeping.prepare import Description, Prepared, prepare
from lab.sweeping.results import Results, collect
from lab.sweeping.study.study import is_exhausted, plan_retries, set_up, total_trials
from lab.sweeping.workers.local import run_local
from lab.sweeping.workers.progress import SweepProgress
from lab.sweeping.workers.settings import Workers


def sweep(
    description: Description,
    out: Path | str | None = None,
    *,
    workers: Workers | int | None = None,
    storage: str | None = None,
    retry_failed: bool = False,
    loggers: Sequence[str] = (),
    console: Console | None = None,
) -> Results:
    """Start a sweep, or resume it after any stop, and train until its budget is spent.

    Args:
        description: The sweep, its plain values, or its YAML file.
        out: Folder of its runs; by default `runs/<name>`.
        workers: The workers, or their number; by default as many on this machine as there is room for.
        storage: `postgresql://...`; by default a journal beside the runs.
        retry_failed: Whether to train the failed runs of a grid once more, from their checkpoints.
        loggers: Where else each run logs its metrics; see `lab.train`.
        console: Where to show progress; by default a notebook shows it, a script nothing.

    Returns:
        The results, which are also written to `runs.csv` and `frame.csv`.

    Raises:
        LabError: If something is wrong with the sweep, before anything runs, or if the storage is lost.
        KeyboardInterrupt: After Ctrl-C, with everything saved.
    """
    chosen = workers if isinstance(workers, Workers) else Workers(workers)
    shown = console or (Console() if in_notebook() else None)
    found = run(prepare(description, out, storage, loggers=loggers), chosen, shown, retry_failed=retry_failed)
    found.write()
    return found


def look(description: Description, out: Path | str | None = None, storage: str | None = None) -> Results:
    """Return the results so far of a sweep that runs, was stopped or is finished, without writing anything.

    Raises:
        LabError: If it was never started.
    """
    return collect(prepare(description, out, storage).job)


def run(
    prepared: Prepared,
    workers: Workers,
    console: Console | None = None,
    *,
    retry_failed: bool = False,
    evaluations: bool = False,
) -> Results:
    """Set a prepared sweep up and have workers train what is left of it.

    Args:
        prepared: The sweep.
        workers: The workers.
        console: Where to show progress; by default nowhere.
        retry_failed: Whether to train the failed runs of a grid once more.
        evaluations: Whether to show each evaluation.

    Raises:
        LabError: As `sweep`.
        KeyboardInterrupt: After Ctrl-C, with everything saved.
    """
    job = prepared.job
    if retry_failed and job.sweep.grid is None:
        raise LabError("retry_failed is for a grid; a search continues with other configurations")
    study = set_up(job)
    if job.sweep.grid is not None:
        plan_retries(job, study, retry_failed=retry_failed)
    trials = study.get_trials(deepcopy=False)
    done = sum(trial.state.is_finished() for trial in trials)
    if done < len(trials) or not is_exhausted(study, job.sweep, len(trials)):
        total = total_trials(study, job.sweep)
        with SweepProgress(console or Console(quiet=True), total, done, evaluations=evaluations) as progress:
            if workers.engine == "ray":
                from lab.sweeping.workers.cluster import run_on_ray

                run_on_ray(job, workers, prepared.demand, progress)
            else:
                run_local(job, workers.count_here(prepared.demand), prepared.demand.gpus, progress)
    return collect(job, study)
