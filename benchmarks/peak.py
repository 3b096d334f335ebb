"""Measure the share of the machine's matmul peak that a 3M training step reaches, in float32 and in bfloat16.

    python -m benchmarks --only peak

FLOPs count the products that a step needs: every matrix once forward and twice backward, and attention's two products forward
and four backward over past positions only. The peak is the rate of the fastest of a few large products on the same threads.
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

SIDES = (1024, 1536, 2048, 3072)
"""Sides of the square matrices whose products give the peak."""
TARGETS = {torch.float32: 0.60, torch.bfloat16: 0.35}
"""Least share of the peak, by dtype."""


def count_needed_flops(experiment: Experiment, sequences: int) -> float:
    """Return the FLOPs that a step on so many sequences needs."""
    counts, task = network_counts(experiment.model, experiment.n_future), experiment.task
    matrices = matrix_parameters(experiment.model, counts) + experiment.n_future * task.vocab_size * experiment.model.width
    past = (task.length + 1) / 2  # mean positions that one attends to
    return sequences * task.length * (6 * matrices + 12 * counts.layers * past * experiment.model.width)


def make_products(dtype: torch.dtype) -> dict[str, Callable[[], Tensor]]:
    """Return functions that multiply two square matrices, by the side of the matrices."""
    return {
        str(side): partial(torch.matmul, *torch.randn(2, side, side, device=pick_device()).to(dtype).unbind()) for side in SIDES
    }


def run(rounds: int = 8, size: str = "3M") -> list[Finding]:
    """Return the share of the peak that a step reaches in each dtype; products and steps are interleaved."""
    experiment, findings, rows = make_experiment(size), [], []
    tokens_BT = tokens_of(experiment, SEQUENCES)
    flops = count_needed_flops(experiment, SEQUENCES)
    for dtype in each("dtype", TARGETS):
        name = str(dtype).removeprefix("torch.")
        candidates = {**make_products(dtype), "step": ours(experiment, tokens_BT, bf16=dtype == torch.bfloat16)}
        median = medians(interleaved(candidates, rounds))
        peak = max(2 * side**3 / median[str(side)] for side in SIDES)
        rate = flops / median["step"]
        rows.append([name, f"{peak / 1e9:.0f}", f"{rate / 1e9:.0f}", f"{1e3 * median['step']:.0f}"])
        findings.append(Finding(f"share of the measured {name} peak, {size} step", rate / peak, ">=", TARGETS[dtype]))
    print_table("Matrix products", ["dtype", "peak GFLOP/s", "step GFLOP/s", "step ms"], rows)
    return findings
