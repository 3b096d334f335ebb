"""Measure the throughput of every task with its default settings, and of some with other settings, on one core.

python -m benchmarks --only tasks
"""

from __future__ import annotations

import itertools

import tasks
from benchmarks.timing import Finding, interleaved, medians, print_table
from tasks import Task

FAST = ("induction", "choice", "bigram", "markov", "recall", "modular")
SLOWER = ("stories", "belief", "polynomial", "star", "maze", "discovery", "countdown", "satisfiability")
TARGETS = dict.fromkeys(FAST, 5.0) | dict.fromkeys(SLOWER, 1.0)
"""Least millions of tokens a second, by task."""
VARIANTS = {"star, varied": ("star", {"query": "any", "shortest_arm": 2})}
"""Tasks with settings at which other code runs, by name; each has the target of its task."""
SEQUENCES = 256
"""Sequences of a batch."""


def run(rounds: int = 15) -> list[Finding]:
    """Time batches of every task, and return the millions of tokens a second of those that have a target."""
    chosen: dict[str, Task] = {name: tasks.get(name) for name in tasks.names()}
    chosen |= {name: tasks.get(task, **settings) for name, (task, settings) in VARIANTS.items()}
    targets = TARGETS | {name: TARGETS[task] for name, (task, _) in VARIANTS.items()}
    index = itertools.count()
    candidates = {name: lambda task=task: task.batch(0, next(index), SEQUENCES, "train") for name, task in chosen.items()}
    seconds = medians(interleaved(candidates, rounds))
    rates = {name: SEQUENCES * chosen[name].length / median / 1e6 for name, median in seconds.items()}
    rows = [[name, f"{1e3 * seconds[name]:.2f}", f"{rate:.2f}"] for name, rate in rates.items()]
    print_table(f"Batches of {SEQUENCES} sequences, train split", ["task", "ms a batch", "million tokens/s"], rows)
    return [Finding(f"{name}, million tokens/s", rates[name], ">=", target) for name, target in targets.items()]
