"""Measure the time of a step by n, T, d and L, up to 100M parameters, and fit a model to it.

    python -m benchmarks --only scaling

The model has four coefficients, which are fitted to all steps together by their relative errors:

    seconds = a x FLOPs of matrices + b x FLOPs of attention + c x states moved + e x layers

FLOPs are those of training, forward and backward. The states moved are positions x layers x width, since the memory traffic of
norms, activations and residual sums grows with them. A coefficient is the cost of one more unit in seconds; none is negative.
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
from benchmarks.steps import count_flops, ours, tokens_of
from benchmarks.timing import Finding, clock, print_table
from lab.config import SIZES
from lab.config.cost import network_counts
from lab.plots.page import style
from lab.plots.save import save
from lab.plots.style import looks

FIGURE = Path(__file__).parents[1] / "docs" / "scaling.png"
TOKENS, VOCABULARY = 2048, 64
VARIED = {
    "n": "prediction heads n",
    "T": "sequence length T",
    "d": "width d",
    "L": "layers L",
    "size": "million parameters",
}
"""Labels of the x axes, by the column that is varied."""
TARGET = 0.25
"""Largest relative error that the model may have."""


class Shape(NamedTuple):
    """The shape of a step.

    Attributes:
        varied: The column that is varied, a key of `VARIED`.
        n: Prediction heads.
        T: Sequence length in tokens.
        d: Width.
        L: Layers.
        H: Attention heads.
        tokens: Tokens of a step.
    """

    varied: str
    n: int
    T: int
    d: int
    L: int
    H: int
    tokens: int = TOKENS


def list_shapes() -> Iterator[Shape]:
    """Yield shapes that vary n, T, d or L around one shape, and then the paper's sizes."""
    for n in (1, 2, 4, 6):
        yield Shape("n", n, 128, 128, 8, 4)
    for T in (16, 64, 256, 512):
        yield Shape("T", 1, T, 128, 8, 4)
    for d in (32, 64, 128, 256, 512):
        yield Shape("d", 1, 128, d, 8, 4)
    for L in (2, 4, 8, 16):
        yield Shape("L", 1, 128, 128, L, 4)
    for name in ("1M", "3M", "10M", "30M", "100M"):
        size = SIZES[name]
        yield Shape("size", 1, 256, size.width, size.layers, size.n_heads, tokens=512)


def compute_terms(shape: Shape) -> NDArray[np.float64]:
    """Return the terms that the coefficients multiply, (4,): FLOPs of matrices and of attention, states moved, layers."""
    experiment = make_experiment(shape)
    layers = network_counts(experiment.model, shape.n).layers
    return np.array([*count_flops(experiment, shape.tokens), shape.tokens * layers * shape.d, layers], dtype=np.float64)


def make_experiment(shape: Shape) -> lab.Experiment:
    """Return an experiment on induction with a shape."""
    settings = {
        "model.width": shape.d, "model.layers": shape.L, "model.n_heads": shape.H,
        "task.vocabulary": VOCABULARY, "task.length": shape.T, "task.period": [2, 5], "task.test_period": None,
    }  # fmt: skip
    return lab.experiment("induction", settings, n_future=shape.n)


def time_step(shape: Shape, rounds: int) -> float:
    """Return the median time of a step in seconds, after one step of warm-up."""
    experiment = make_experiment(shape)
    step = ours(experiment, tokens_of(experiment, shape.tokens // shape.T))
    step()
    seconds = []
    for _ in range(rounds):
        start = clock()
        step()
        seconds.append(clock() - start)
    return statistics.median(seconds)


def fit_coefficients(terms_SK: NDArray[np.float64], seconds_S: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit the coefficients by non-negative least squares of the relative errors.

    Args:
        terms_SK: K terms of each of S shapes.
        seconds_S: Measured seconds of a step of each shape.

    Returns:
        Seconds per unit of each term, (K,).
    """
    scale_K = terms_SK.max(0)
    scaled_K, _ = nnls(terms_SK / scale_K / seconds_S[:, None], np.ones(len(seconds_S)))
    coefficients_K: NDArray[np.float64] = scaled_K / scale_K
    return coefficients_K


def draw(table: pd.DataFrame) -> Figure:
    """Draw measured steps as points and the model as lines, with a panel for each column that is varied.

    Args:
        table: A row for each shape, with the fields of `Shape`, `parameters` (non-embedding), and `seconds` of a step as
            measured and by the `model`.
    """
    measured, model = looks(("measured", "model")).values()
    with style():
        figure, axes = plt.subplots(1, 5, figsize=(11, 2.5), layout="constrained")
        for axis, (varied, label) in zip(axes, VARIED.items(), strict=True):
            part = table[table.varied == varied]
            across = part.parameters / 1e6 if varied == "size" else part[varied]
            axis.plot(across, part.model, color=model.colour, linestyle=model.line, label="model")
            axis.plot(across, part.seconds, linestyle="none", marker=measured.marker, color=measured.colour, label="measured")
            axis.set(xscale="log", xlabel=label)
            if varied in ("n", "T"):
                axis.set_ylim(0, 1.2 * part.seconds.max())  # below a factor of two a logarithmic axis shows only noise
            else:
                axis.set_yscale("log")
            axis.set_xticks(across, [f"{value:.0f}" for value in across])
            axis.minorticks_off()
        axes[0].set_ylabel("seconds a step")
        axes[0].legend(loc="lower right")
    return figure


def run(rounds: int = 5, figure: Path | None = None) -> list[Finding]:
    """Time a step of every shape, fit the model and return its largest relative error.

    Args:
        rounds: Timed steps of each shape.
        figure: Path of the figure, which is saved with a table of its numbers; None to save nothing.
    """
    shapes = list(list_shapes())
    terms_SK = np.stack([compute_terms(shape) for shape in shapes])
    seconds_S = np.array([time_step(shape, rounds) for shape in each("shape", shapes)])
    coefficients_K = fit_coefficients(terms_SK, seconds_S)
    table = pd.DataFrame(shapes)
    table["parameters"] = [make_experiment(shape).non_embedding_parameters for shape in shapes]
    table["seconds"], table["model"] = seconds_S.round(5), (terms_SK @ coefficients_K).round(5)
    errors = (table.model / table.seconds - 1).abs()
    a, b, c, e = coefficients_K
    rows = [
        ["matrices", f"{1e-9 / a:.0f} GFLOP/s" if a else "free"],
        ["attention", f"{1e-9 / b:.0f} GFLOP/s" if b else "free"],
        ["states moved", f"{1e9 * c:.2f} ns each"],
        ["layers", f"{1e6 * e:.0f} us each"],
        ["relative error, median", f"{errors.median():.3f}"],
    ]
    print_table(f"Model of a step's cost, {len(shapes)} shapes", ["term", "fitted"], rows)
    if figure is not None:
        save(draw(table), table, figure)
    return [Finding("model of a step's cost, largest relative error", float(errors.max()), "<=", TARGET)]
