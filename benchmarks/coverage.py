"""How often 90 % intervals hold the truth, by number of seeds and by how a metric is spread over seeds.

python -m benchmarks.coverage                 the table of docs/statistics.md, in about two minutes
python -m benchmarks.coverage --datasets 100  a rough one, in seconds
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.progress import each
from benchmarks.timing import print_table
from lab.stats.bootstrap import LEVEL, escaped_share, expanded_percentile, resample

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]
SEEDS = (2, 3, 4, 5, 6, 8, 10, 12, 16)
DATASETS = 4000
_AT_ONCE = 250
SPREADS: dict[str, tuple[Draw, float]] = {
    "normal": (lambda rng, shape: rng.normal(size=shape), 0.0),
    "exponential": (lambda rng, shape: rng.exponential(size=shape), 1.0),
    "lognormal": (lambda rng, shape: rng.lognormal(size=shape), math.exp(0.5)),
    "two-peaked, 1 in 4": (lambda rng, shape: (rng.random(shape) < 1 / 4).astype(float), 1 / 4),
    "two-peaked, 1 in 8": (lambda rng, shape: (rng.random(shape) < 1 / 8).astype(float), 1 / 8),
}
"""How values are spread over seeds, and their true mean. Two-peaked: 1 off the plateau, 0 on it."""


def interval_coverage(draw: Draw, mean: float, seeds: int, datasets: int, seed: int = 0) -> float:
    """Share of simulated datasets whose expanded percentile interval holds the true mean.

    Args:
        draw: Values of (seeds, datasets) from a generator.
        mean: Their true mean.
        seeds: In each dataset; below five as well, where the laboratory prints no interval.
        datasets: How many are simulated.
        seed: Of the simulation.
    """
    values_SD = draw(np.random.default_rng([seed, seeds]), (seeds, datasets))
    weights_RS = resample(seeds)
    held = 0
    for begin in range(0, datasets, _AT_ONCE):
        low, high = expanded_percentile(weights_RS @ values_SD[:, begin : begin + _AT_ONCE], LEVEL, seeds)
        held += int(((low <= mean + 1e-12) & (mean - 1e-12 <= high)).sum())
    return held / datasets


def share_coverage(share: float, runs: int) -> float:
    """Probability that the exact interval of the share of escaped runs holds the true one."""
    intervals = [escaped_share([place < escaped for place in range(runs)]) for escaped in range(runs + 1)]
    held = [each.low <= share <= each.high for each in intervals]
    return float(np.sum(stats.binom.pmf(np.arange(runs + 1), runs, share), where=held))


def coverage_table(datasets: int, seeds: Sequence[int] = SEEDS) -> list[list[str]]:
    """A row for each spread: its name, and per cent of the intervals that hold the truth for each number of seeds."""
    rows = [
        [f"mean, {name}", *(f"{100 * interval_coverage(draw, mean, each, datasets):.0f}" for each in seeds)]
        for name in each("spread", SPREADS)
        for draw, mean in [SPREADS[name]]
    ]
    for name, share in (("1 in 4", 1 / 4), ("1 in 8", 1 / 8)):
        rows.append([f"exact share, {name}", *(f"{100 * share_coverage(share, each):.0f}" for each in seeds)])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--datasets", type=int, default=DATASETS)
    options = parser.parse_args()
    title = f"Per cent of {100 * LEVEL:.0f} % intervals that hold the truth, by number of seeds"
    print_table(title, ["interval of", *map(str, SEEDS)], coverage_table(options.datasets))


if __name__ == "__main__":
    main()
