"""Measure the throughput of two workers against one, on the same sweep.

    python -m benchmarks --only sweep

Each round trains the whole sweep twice, once with each number of workers. A sweep that loads the libraries comes first and is
not timed. A run is long enough that the claim of its trial and the writing of its folder are a small part of it, as in a real
sweep.
"""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import lab
from benchmarks.progress import log
from benchmarks.timing import Finding, call_in_turns, medians, paired_ratio

SWEEP: dict[str, Any] = {
    "name": "throughput",
    "base": {
        "task": "induction",
        "task.length": 32,
        "task.period": [4, 12],
        "task.test_period": None,
        "steps": 120,
        "evaluation.every": 60,
        "evaluation.examples": 64,
        "accelerator": "cpu",
    },
    "grid": {"n_future": [1, 2]},
    "seeds": 4,
}


def time_sweep(workers: int) -> float:
    """Run the whole sweep in a new folder, and return its wall time in seconds, since other processes do the work."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        results = lab.sweep(SWEEP, Path(folder) / "out", workers=workers)
        assert not results.missing(), results.missing()
        return time.perf_counter() - start


def run(rounds: int = 3, workers: int = 2) -> list[Finding]:
    """Return the throughput of several workers, divided by that of one."""
    one, several = "1 worker", f"{workers} workers"
    log("warm-up of 1 worker")
    time_sweep(1)  # reads the libraries from the disk
    seconds = call_in_turns({one: partial(time_sweep, 1), several: partial(time_sweep, workers)}, rounds)
    median = medians(seconds)
    what = f"throughput of a sweep, {several} ({median[several]:.0f} s) / {one} ({median[one]:.0f} s)"
    return [Finding(what, paired_ratio(seconds, one, several), ">=", 1.85)]
