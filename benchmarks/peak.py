"""Share of the machine's measured matmul peak that a 3M training step reaches, in float32 and in bfloat16.

    python -m benchmarks --only peak

The count has the necessary products of a step: every matrix once forward and twice backward, and attention's two
products forward and four backward over the past alone. The peak is the fastest of a few large products on the same threads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.progress import each
from benchmarks.steps import SEQUENCES, make_experiment, ours, pick_device, tokens_of
from benchmarks.timing import Finding, interleaved, medians, print_table
from lab.config import Experiment
from lab.config.cost import matrix_parameters, network_counts

SQUARES = (1024, 1536, 2048, 3072)
TARGETS = {torch.float32: 0.60, torch.bfloat16: 0.35}


def needed_flops(experiment: Experiment, rows: int) -> float:
    """Floating-point operations that a step on this many sequences needs."""
    counts, task = network_counts(experiment.model, experiment.n_future), experiment.task
    matrices = matrix_parameters(experiment.model, counts) + experiment.n_future * task.vocab_size * experiment.model.width
    past = (task.length + 1) / 2
    return rows * task.length * (6 * matrices + 12 * counts.layers * past * experiment.model.width)


def products(dtype: torch.dtype) -> dict[str, Callable[[], Tensor]]:
    """Products of square matrices by their size."""
    return {
        str(size): partial(torch.matmul, *torch.randn(2, size, size, device=pick_device()).to(dtype).unbind())
        for size in SQUARES
    }


def run(rounds: int = 8, size: str = "3M") -> list[Finding]:
    """Shares of the peak, with peak and step interleaved."""
    experiment, findings, rows = make_experiment(size), [], []
    tokens_BT = tokens_of(experiment, SEQUENCES)
    flops = needed_flops(experiment, SEQUENCES)
    for dtype in each("type", TARGETS):
        name = str(dtype).removeprefix("torch.")
        candidates = {**products(dtype), "step": ours(experiment, tokens_BT, bf16=dtype == torch.bfloat16)}
        median = medians(interleaved(candidates, rounds))
        peak = max(2 * side**3 / median[str(side)] for side in SQUARES)
        rate = flops / median["step"]
        rows.append([name, f"{peak / 1e9:.0f}", f"{rate / 1e9:.0f}", f"{1e3 * median['step']:.0f}"])
        findings.append(Finding(f"share of the measured {name} peak, {size} step", rate / peak, ">=", TARGETS[dtype]))
    print_table("Matrix products", ["dtype", "peak GFLOP/s", "step GFLOP/s", "step ms"], rows)
    return findings
