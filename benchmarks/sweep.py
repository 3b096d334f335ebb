"""Throughput of two workers against one, on the same sweep, interleaved.

    python -m benchmarks --only sweep

Each round trains the whole sweep twice, once with each number of workers, after a first one that has loaded the libraries.
A run is long enough that taking a trial and writing its folder are a small part of it, as in any sweep of use.
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


def train(workers: int) -> float:
    """The whole sweep in a new folder; seconds of wall time, for the work is done by other processes."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        found = lab.sweep(SWEEP, Path(folder) / "out", workers=workers)
        assert not found.missing(), found.missing()
        return time.perf_counter() - begin


def run(rounds: int = 3, workers: int = 2) -> list[Finding]:
    """Throughput of several workers x one."""
    one, several = "1 worker", f"{workers} workers"
    log("warm-up of 1 worker")
    train(1)  # the libraries are read from the disk
    seconds = call_in_turns({one: partial(train, 1), several: partial(train, workers)}, rounds)
    median = medians(seconds)
    what = f"sweep, throughput of {several} ({median[several]:.0f} s) x {one} ({median[one]:.0f} s)"
    return [Finding(what, paired_ratio(seconds, one, several), ">=", 1.85)]
