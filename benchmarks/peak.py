"""Measure the share of the machine's peak rate of matrix products that a 3M training step reaches, in float32 and in bfloat16.

    python -m benchmarks --only peak

FLOPs count the products that a step needs: every matrix once forward and twice backward, and attention's two products forward
and four backward over past positions only. The peak is the rate of the fastest of a few large products with the same threads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.progress import each
from benchmarks.steps import SEQUENCES, count_flops, make_experiment, ours, pick_device, tokens_of
from benchmarks.timing import Finding, interleaved, medians, print_table

SIDES = (1024, 1536, 2048, 3072)
"""Numbers of rows of the square matrices whose products give the peak."""
TARGETS = {torch.float32: 0.60, torch.bfloat16: 0.35}
"""Least share of the peak, by dtype."""


def make_products(dtype: torch.dtype) -> dict[str, Callable[[], Tensor]]:
    """Return functions that multiply two square matrices, by the side of the matrices."""
    return {
        str(side): partial(torch.matmul, *torch.randn(2, side, side, device=pick_device()).to(dtype).unbind()) for side in SIDES
    }


def run(rounds: int = 8, size: str = "3M") -> list[Finding]:
    """Return the share of the peak that a step reaches in each dtype; products and steps are interleaved."""
    experiment, findings, rows = make_experiment(size), [], []
    tokens_BT = tokens_of(experiment, SEQUENCES)
    flops = sum(count_flops(experiment, tokens_BT.numel()))
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
