"""Throughput of every task at its default settings, and of a few at others, on one core.

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
"""Millions of tokens a second."""
OTHERS = {"star, varied": ("star", {"query": "any", "shortest_arm": 2})}
"""Settings that take another path through a task, by a name of their own, with the task's target."""
ROWS = 256


def run(rounds: int = 15) -> list[Finding]:
    """Millions of tokens a second of every task, beside the targets of those that have one."""
    chosen: dict[str, Task] = {name: tasks.get(name) for name in tasks.names()}
    chosen |= {name: tasks.get(task, **settings) for name, (task, settings) in OTHERS.items()}
    targets = TARGETS | {name: TARGETS[task] for name, (task, _) in OTHERS.items()}
    index = itertools.count()
    arms = {name: lambda task=task: task.batch(0, next(index), ROWS, "train") for name, task in chosen.items()}
    seconds = medians(interleaved(arms, rounds))
    rates = {name: ROWS * chosen[name].length / median / 1e6 for name, median in seconds.items()}
    rows = [[name, f"{1e3 * seconds[name]:.2f}", f"{rate:.2f}"] for name, rate in rates.items()]
    print_table(f"Batches of {ROWS} rows, train split", ["task", "ms a batch", "million tokens/s"], rows)
    return [Finding(f"{name}, million tokens/s", rates[name], ">=", target) for name, target in targets.items()]
