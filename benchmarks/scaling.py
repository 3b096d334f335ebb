"""Cost of a step in n, T, d and L, up to 100M parameters, with a fitted model.

    python -m benchmarks --only scaling

The law has four prices, fitted to all steps at once by their relative errors:

    seconds = a x FLOPs of matrices + b x FLOPs of attention + c x states moved + e x layers

FLOPs are those of training (forward and backward), states moved are positions x layers x width: what norms, activations and
residual sums touch. A price is what one more unit costs; none can be negative.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.optimize import nnls

import lab
from benchmarks.progress import each
from benchmarks.steps import ours, tokens_of
from benchmarks.timing import Finding, clock, print_table
from lab.config import SIZES
from lab.config.cost import matrix_parameters, network_counts
from lab.plots.page import style
from lab.plots.save import save
from lab.plots.style import looks

FIGURE = Path(__file__).parents[1] / "docs" / "scaling.png"
TOKENS, VOCABULARY = 2048, 64
VARIED = {
    "n": "prediction heads n",
    "T": "row length T",
    "d": "width d",
    "L": "layers L",
    "size": "million parameters",
}
WITHIN = 0.25
"""Largest relative error that the law may have."""


class Point(NamedTuple):
    """A shape: what is varied, prediction heads n, row length T, width d, layers L, attention heads, tokens of a step."""

    varied: str
    n: int
    T: int
    d: int
    L: int
    H: int
    tokens: int = TOKENS


def points() -> Iterator[Point]:
    """Each of n, T, d, L varied alone around a middle, and the paper's sizes."""
    for n in (1, 2, 4, 6):
        yield Point("n", n, 128, 128, 8, 4)
    for T in (16, 64, 256, 512):
        yield Point("T", 1, T, 128, 8, 4)
    for d in (32, 64, 128, 256, 512):
        yield Point("d", 1, 128, d, 8, 4)
    for L in (2, 4, 8, 16):
        yield Point("L", 1, 128, 128, L, 4)
    for name in ("1M", "3M", "10M", "30M", "100M"):
        shape = SIZES[name]
        yield Point("size", 1, 256, shape.width, shape.layers, shape.n_heads, tokens=512)


def terms(point: Point) -> NDArray[np.float64]:
    """What the law's four prices are multiplied with."""
    experiment = experiment_of(point)
    counts = network_counts(experiment.model, point.n)
    matrices = matrix_parameters(experiment.model, counts) + point.n * VOCABULARY * point.d
    flops = 6 * point.tokens * matrices
    attention = 12 * point.tokens * counts.layers * point.d * (point.T + 1) / 2
    return np.array([flops, attention, point.tokens * counts.layers * point.d, counts.layers], dtype=np.float64)


def experiment_of(point: Point) -> lab.Experiment:
    """An experiment of that shape."""
    settings = {
        "model.width": point.d, "model.layers": point.L, "model.n_heads": point.H,
        "task.vocabulary": VOCABULARY, "task.length": point.T, "task.period": [2, 5], "task.test_period": None,
    }  # fmt: skip
    return lab.experiment("induction", settings, n_future=point.n)


def seconds_of(point: Point, rounds: int) -> float:
    """Median seconds of a step."""
    experiment = experiment_of(point)
    step = ours(experiment, tokens_of(experiment, point.tokens // point.T))
    step()
    measured = []
    for _ in range(rounds):
        began = clock()
        step()
        measured.append(clock() - began)
    return statistics.median(measured)


def fit(terms_PK: NDArray[np.float64], seconds_P: NDArray[np.float64]) -> NDArray[np.float64]:
    """The prices that make the sum of squared relative errors least, none below zero; P points, K terms."""
    scale_K = terms_PK.max(0)
    prices_K, _ = nnls(terms_PK / scale_K / seconds_P[:, None], np.ones(len(seconds_P)))
    fitted: NDArray[np.float64] = prices_K / scale_K
    return fitted


def draw(table: pd.DataFrame) -> Figure:
    """Measured steps as points and the law as lines, a panel for each thing that is varied."""
    measured, law = looks(("measured", "law")).values()
    with style():
        figure, axes = plt.subplots(1, 5, figsize=(11, 2.5), layout="constrained")
        for axis, (varied, label) in zip(axes, VARIED.items(), strict=True):
            part = table[table.varied == varied]
            across = part.parameters / 1e6 if varied == "size" else part[varied]
            axis.plot(across, part.law, color=law.colour, linestyle=law.line, label="law")
            axis.plot(across, part.seconds, linestyle="none", marker=measured.marker, color=measured.colour, label="measured")
            axis.set(xscale="log", xlabel=label)
            if varied in ("n", "T"):
                axis.set_ylim(0, 1.2 * part.seconds.max())  # hardly a factor of two: on a logarithmic scale one sees noise
            else:
                axis.set_yscale("log")
            axis.set_xticks(across, [f"{value:.0f}" for value in across])
            axis.minorticks_off()
        axes[0].set_ylabel("seconds a step")
        axes[0].legend(loc="lower right")
    return figure


def run(rounds: int = 5, figure: Path | None = None) -> list[Finding]:
    """The law's largest relative error; with a path the figure and its numbers are written as well."""
    chosen = list(points())
    terms_PK = np.stack([terms(point) for point in chosen])
    seconds_P = np.array([seconds_of(point, rounds) for point in each("shape", chosen)])
    prices_K = fit(terms_PK, seconds_P)
    table = pd.DataFrame(chosen)
    table["parameters"] = [experiment_of(point).non_embedding_parameters for point in chosen]
    table["seconds"], table["law"] = seconds_P.round(5), (terms_PK @ prices_K).round(5)
    off = (table.law / table.seconds - 1).abs()
    a, b, c, e = prices_K
    rows = [
        ["matrices", f"{1e-9 / a:.0f} GFLOP/s" if a else "free"],
        ["attention", f"{1e-9 / b:.0f} GFLOP/s" if b else "free"],
        ["states moved", f"{1e9 * c:.2f} ns each"],
        ["layers", f"{1e6 * e:.0f} us each"],
        ["relative error, median", f"{off.median():.3f}"],
    ]
    print_table(f"The law of a step's cost, {len(chosen)} shapes", ["price", "fitted"], rows)
    if figure is not None:
        save(draw(table), table, figure)
    return [Finding("scaling law, largest relative error", float(off.max()), WITHIN, False)]
