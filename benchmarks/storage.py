"""Measure how many trials a second workers claim from a storage and end, by number of workers.

    python -m benchmarks.storage --workers 1 4 16

Workers do everything except train: they take the lease, create the trial, set its parameters and report the result. All workers
and the server run on this machine, so that the rates are those of these cores and not of a dedicated server.
"""

from __future__ import annotations

import multiprocessing as mp
import tempfile
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from benchmarks import postgres
from benchmarks.options import make_parser
from benchmarks.progress import each
from benchmarks.timing import print_table
from lab.sweeping.prepare import prepare
from lab.sweeping.study.claims import claim
from lab.sweeping.study.place import Job
from lab.sweeping.study.study import open_study, set_up


def make_sweep(name: str, trials: int) -> dict[str, Any]:
    """Return the description of a grid with so many runs, an even number."""
    return {"name": name, "base": {"task": "induction"}, "grid": {"n_future": [1, 2]}, "seeds": trials // 2}


def run_worker(job: Job, ready: Barrier) -> None:
    """Wait until all workers are ready, then claim trials and report a result for each, until none is left."""
    study = open_study(job)
    ready.wait()
    while (claimed := claim(job, study)) is not None:
        study.tell(claimed.trial, 0.5)
        claimed.lease.release()


def measure_rate(name: str, url: str | None, workers: int, trials: int) -> float:
    """Return the trials per second that workers claim and end.

    Args:
        name: Name of the sweep.
        url: URL of the storage; None for the journal in the sweep's folder.
        workers: Number of processes that claim trials.
        trials: Number of trials of the sweep, an even number.
    """
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(["lab.sweeping.study.study"])
    with tempfile.TemporaryDirectory() as folder:
        job = prepare(make_sweep(name, trials), Path(folder) / "out", url).job
        set_up(job)
        ready = context.Barrier(workers + 1)
        processes = [context.Process(target=run_worker, args=(job, ready)) for _ in range(workers)]
        for process in processes:
            process.start()
        ready.wait()
        start = time.perf_counter()
        for process in processes:
            process.join()
            assert process.exitcode == 0
        seconds = time.perf_counter() - start
        assert len(open_study(job).trials) == trials
    return trials / seconds


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16], help="processes that claim trials")
    parser.add_argument(
        "--trials", type=int, nargs="+", default=[200, 2000], help="trials of the study, all of which a claim reads"
    )
    options = parser.parse_args()
    rows = []
    with postgres.server() as url:
        for trials in options.trials:
            for workers in each(f"{trials} trials: workers", options.workers):
                storages = {"journal": None, "postgresql": url}
                rates = [
                    measure_rate(f"{trials}-{workers}-{name[:4]}", storage, workers, trials)
                    for name, storage in storages.items()
                ]
                rows.append([str(trials), str(workers), *(f"{rate:.1f}" for rate in rates)])
    print_table("Trials a second", ["trials", "workers", "journal", "postgresql"], rows)


if __name__ == "__main__":
    main()
