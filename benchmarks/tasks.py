"""Throughput of every task at its default settings, on one core.

OMP_NUM_THREADS=1 python -m benchmarks.tasks
"""

from __future__ import annotations

import argparse
import itertools

import tasks
from benchmarks.timing import interleaved, medians, print_table, verdict
from tasks import Task

FAST = ("induction", "bigram", "markov", "recall", "modular")
TARGETS = dict.fromkeys(FAST, 5.0) | dict.fromkeys(("stories", "polynomial", "star", "maze", "discovery"), 1.0)
"""Millions of tokens a second."""
ROWS = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    chosen: dict[str, Task] = {name: tasks.get(name) for name in tasks.names()}
    index = itertools.count()
    arms = {name: lambda task=task: task.batch(0, next(index), ROWS, "train") for name, task in chosen.items()}
    rows = []
    for name, seconds in medians(interleaved(arms, options.rounds)).items():
        rate = ROWS * chosen[name].length / seconds / 1e6
        rows.append(
            [name, f"{1e3 * seconds:.2f}", verdict(rate, TARGETS[name], at_least=True) if name in TARGETS else f"{rate:.2f}"]
        )
    print_table(f"Batches of {ROWS} rows, train split", ["task", "ms a batch", "million tokens/s"], rows)


if __name__ == "__main__":
    main()
