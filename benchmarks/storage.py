"""How many trials a second a storage gives out and takes back, by the number of workers that ask.

    python -m benchmarks.storage --workers 1 4 16

Workers do everything but train: they take the lease, make the trial, state its parameters, tell the result. All run on this
machine, as does the server: the numbers are what these cores can do, not what a server of its own could.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import tempfile
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from benchmarks import postgres
from benchmarks.progress import each
from benchmarks.timing import print_table
from lab.sweeping.prepare import prepare
from lab.sweeping.study.claims import claim
from lab.sweeping.study.place import Job
from lab.sweeping.study.study import open_study, set_up


def described(name: str, trials: int) -> dict[str, Any]:
    """A grid of so many runs."""
    return {"name": name, "base": {"task": "induction"}, "grid": {"n_future": [1, 2]}, "seeds": (trials + 1) // 2}


def take(job: Job, ready: Barrier) -> None:
    """One worker: all trials that it can get, each ended as soon as it is begun, once all workers are there."""
    study = open_study(job)
    ready.wait()
    while (claimed := claim(job, study)) is not None:
        study.tell(claimed.trial, 0.5)
        claimed.lease.release()


def rate(name: str, url: str | None, workers: int, trials: int) -> float:
    """Trials a second."""
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(["lab.sweeping.study.study"])
    with tempfile.TemporaryDirectory() as folder:
        job = prepare(described(name, trials), Path(folder) / "out", url).job
        set_up(job)
        ready = context.Barrier(workers + 1)
        processes = [context.Process(target=take, args=(job, ready)) for _ in range(workers)]
        for process in processes:
            process.start()
        ready.wait()
        began = time.perf_counter()
        for process in processes:
            process.join()
            assert process.exitcode == 0
        seconds = time.perf_counter() - began
        assert len(open_study(job).trials) == trials
    return trials / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--trials", type=int, nargs="+", default=[200, 2000], help="in the study, since each claim reads them")
    options = parser.parse_args()
    rows = []
    with postgres.server() as url:
        for trials in options.trials:
            for workers in each(f"{trials} trials: workers", options.workers):
                storages = {"journal": None, "postgresql": url}
                rates = [rate(f"{trials}-{workers}-{name[:4]}", where, workers, trials) for name, where in storages.items()]
                rows.append([str(trials), str(workers), *(f"{each:.1f}" for each in rates)])
    print_table("Trials a second", ["trials", "workers", "journal", "postgresql"], rows)


if __name__ == "__main__":
    main()
