"""Time steps of n prediction heads at equal parameters by size of the model (the paper's Tab S5).

    python -m benchmarks.sizes --out results/s5      about ten minutes on one core

Steps of n = 1, 2 and 4 take turns, at the paper's sizes and at two vocabularies: at equal parameters a further head replaces a
layer of the trunk, so that it costs only its logits, and these depend on the vocabulary. Each ratio of times stands beside the
ratio of FLOPs.

Expectation, written before the first run: the ratio of times is the ratio of FLOPs within 5 % in every case. With 256 tokens
that is at most 1.08; with 8192 tokens it falls from 2.3 for n = 4 at 1M to 1.17 at 100M.
"""

from __future__ import annotations

import statistics
from pathlib import Path

import pandas as pd
import torch
from matplotlib.figure import Figure

import lab
from benchmarks.options import make_parser
from benchmarks.progress import each
from benchmarks.steps import make_experiment, ours, tokens_of
from benchmarks.timing import interleaved, print_table
from lab.config import SIZES
from lab.plots.axes import figure_note
from lab.plots.page import new_figure, style
from lab.plots.save import save
from lab.plots.style import looks

HEADS, VOCABULARIES = (1, 2, 4), (256, 8192)
SEQUENCES = {"1M": 8, "3M": 8, "10M": 8, "30M": 4, "100M": 2}
"""Sequences of a step, by size."""


def measure(rounds: int) -> pd.DataFrame:
    """Time interleaved steps of every size, vocabulary and n that leaves a trunk.

    Returns:
        `size`, `parameters` (without embeddings), `vocabulary`, `n`, `flops` and `seconds` of a step (median), and against
        n = 1 `flops_ratio`, `time_ratio` (median over rounds), `low` and `high` (its quartiles).
    """
    rows = []
    for vocabulary in VOCABULARIES:
        for size in each(f"vocabulary {vocabulary}, size", SEQUENCES):
            sequences = SEQUENCES[size]
            experiments = {
                n: lab.override(make_experiment(size, n, vocabulary), {"batch_size": sequences})
                for n in HEADS
                if n < SIZES[size].layers
            }
            steps = {str(n): ours(experiment, tokens_of(experiment, sequences)) for n, experiment in experiments.items()}
            seconds = interleaved(steps, rounds, warm_up=1)
            for n, experiment in experiments.items():
                ratios = [several / one for several, one in zip(seconds[str(n)], seconds["1"], strict=True)]
                low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
                rows.append(
                    {
                        "size": size,
                        "parameters": experiment.non_embedding_parameters,
                        "vocabulary": vocabulary,
                        "n": n,
                        "flops": experiment.flops_per_step,
                        "seconds": statistics.median(seconds[str(n)]),
                        "flops_ratio": experiment.flops_per_step / experiments[1].flops_per_step,
                        "time_ratio": middle,
                        "low": low,
                        "high": high,
                    }
                )
    return pd.DataFrame(rows).round(4)


def draw(table: pd.DataFrame) -> Figure:
    """Draw measured ratios as points and ratios of FLOPs as lines against the size, with a panel for each vocabulary."""
    n_looks = looks([n for n in HEADS if n > 1])
    figure = new_figure(7.2, 3.2)
    panels = figure.subplots(1, len(VOCABULARIES), sharey=True)
    for axes, vocabulary in zip(panels, VOCABULARIES, strict=True):
        for n, look in n_looks.items():
            part = table[(table["vocabulary"] == vocabulary) & (table["n"] == n)]
            size = part["parameters"] / 1e6
            axes.plot(size, part["flops_ratio"], color=look.colour, linestyle=look.line, label=f"n = {n}, FLOPs")
            errors = [part["time_ratio"] - part["low"], part["high"] - part["time_ratio"]]
            axes.errorbar(
                size, part["time_ratio"], errors, color=look.colour, marker=look.marker, linestyle="", label=f"n = {n}, time"
            )
        axes.set(xscale="log", title=f"vocabulary of {vocabulary:,}", xlabel="million parameters without embeddings")
        ticks = table["parameters"].unique() / 1e6
        axes.set_xticks(ticks, [f"{each:.0f}" for each in ticks])
        axes.minorticks_off()
        axes.axhline(1, color="black", linewidth=0.8, zorder=0)
    panels[0].set_ylabel("a training step against n = 1")
    panels[1].legend(loc="upper right")
    figure_note(figure, ["At equal parameters; medians of interleaved steps, with quartiles; one thread."])
    return figure


def main() -> None:
    parser = make_parser(__doc__, rounds=9)
    parser.add_argument("--out", type=Path, help="folder of s5.png and s5.csv")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)  # an impossible folder is an error now, not after the measurement
    table = measure(options.rounds)
    rows = [
        [f"{value:g}" if isinstance(value, float) else str(value) for value in row] for row in table.itertuples(index=False)
    ]
    print_table("Steps of n prediction heads at equal parameters", list(table.columns), rows)
    if options.out is not None:
        with style():
            save(draw(table), table, options.out / "s5.png")


if __name__ == "__main__":
    main()
