"""Compare step times of n = 2 and 4 prediction heads with n = 1 at equal parameters and a small vocabulary.

python -m benchmarks --only heads
"""

from __future__ import annotations

import lab
from benchmarks.progress import each
from benchmarks.steps import SEQUENCES, ours, tokens_of
from benchmarks.timing import Finding, interleaved, medians, paired_ratio, print_table

VOCABULARY = 32
TARGETS = {2: 1.03, 4: 1.05}
"""Largest ratio of step times, by n."""
SHAPES = (("1M", 5, 128, 256), ("d 64, L 6", 6, 64, 256))
"""Name, layers, width, sequence length."""


def run(rounds: int = 12) -> list[Finding]:
    """Return the step time of each n in `TARGETS`, divided by the step time of n = 1."""
    rows, findings = [], []
    for name, layers, width, length in each("shape", SHAPES):
        settings = {"model.width": width, "model.layers": layers, "task.vocabulary": VOCABULARY, "task.length": length}
        candidates = {}
        for n in (1, *TARGETS):
            experiment = lab.experiment("induction", {**settings, "task.test_period": None}, n_future=n)
            candidates[f"n = {n}"] = ours(experiment, tokens_of(experiment, SEQUENCES))
        seconds = interleaved(candidates, rounds)
        rows += [[f"{name}, {candidate}", f"{1e3 * median:.1f}"] for candidate, median in medians(seconds).items()]
        for n, target in TARGETS.items():
            ratio = paired_ratio(seconds, f"n = {n}", "n = 1")
            findings.append(Finding(f"step time, {name}, n = {n} / n = 1", ratio, "<=", target))
    print_table(f"Steps at equal parameters, vocabulary {VOCABULARY}", ["condition", "ms"], rows)
    return findings
