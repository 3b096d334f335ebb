"""Throughput of two workers against one, on the same sweep, in turns.

    python -m benchmarks.sweep

Each round trains the whole sweep twice, once with each number of workers, after a first one that has loaded the libraries.
A run is long enough that taking a trial and writing its folder are a small part of it, as in any sweep of use.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import lab
from benchmarks.timing import interleaved, medians, paired_ratio, print_table, verdict

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


def train(workers: int) -> None:
    """The whole sweep in a new folder."""
    with tempfile.TemporaryDirectory() as folder:
        found = lab.sweep(SWEEP, Path(folder) / "out", workers=workers)
        assert not found.missing(), found.missing()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    one, several = "1 worker", f"{options.workers} workers"
    seconds = interleaved({one: partial(train, 1), several: partial(train, options.workers)}, options.rounds, warm_up=1)
    ratio = paired_ratio(seconds, one, several)
    median = medians(seconds)
    rows = [
        [one, f"{median[one]:.1f} s", ""],
        [several, f"{median[several]:.1f} s", verdict(ratio, 1.85, at_least=True)],
    ]  # fmt: skip
    print_table(f"A sweep of {SWEEP['seeds'] * 2} runs", ["workers", "median", "throughput"], rows)


if __name__ == "__main__":
    main()
