"""Simulate how often 90 % intervals contain the true value, by number of seeds and by distribution over seeds.

    python -m benchmarks.coverage                 the table of docs/statistics.md, in about two minutes
    python -m benchmarks.coverage --datasets 100  a rough estimate, in seconds

Shapes: S seeds, D datasets, R resamples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.options import make_parser
from benchmarks.progress import each
from benchmarks.timing import print_table
from lab.stats.bootstrap import LEVEL, escaped_share, expanded_percentile, resample

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]
SEEDS = (2, 3, 4, 5, 6, 8, 10, 12, 16)
DATASETS = 4000
_CHUNK = 250
"""Number of datasets that are resampled together."""
DISTRIBUTIONS: dict[str, tuple[Draw, float]] = {
    "normal": (lambda rng, shape: rng.normal(size=shape), 0.0),
    "exponential": (lambda rng, shape: rng.exponential(size=shape), 1.0),
    "lognormal": (lambda rng, shape: rng.lognormal(size=shape), math.exp(0.5)),
    "two-peaked, 1 in 4": (lambda rng, shape: (rng.random(shape) < 1 / 4).astype(float), 1 / 4),
    "two-peaked, 1 in 8": (lambda rng, shape: (rng.random(shape) < 1 / 8).astype(float), 1 / 8),
}
"""Distributions of a value over seeds, each with its true mean. A two-peaked value is 1 for a run off the plateau, 0 on it."""


def simulate_coverage(draw: Draw, mean: float, seeds: int, datasets: int, seed: int = 0) -> float:
    """Return the share of simulated datasets whose expanded percentile interval contains the true mean.

    Args:
        draw: Draws values of shape (seeds, datasets) from a generator.
        mean: True mean of the values.
        seeds: Number of values in each dataset; also below five, where the laboratory prints no interval.
        datasets: Number of simulated datasets.
        seed: Seed of the simulation.

    Returns:
        A share in [0, 1].
    """
    values_SD = draw(np.random.default_rng([seed, seeds]), (seeds, datasets))
    weights_RS = resample(seeds)
    covered = 0
    for begin in range(0, datasets, _CHUNK):
        low, high = expanded_percentile(weights_RS @ values_SD[:, begin : begin + _CHUNK], LEVEL, seeds)
        covered += int(((low <= mean + 1e-12) & (mean - 1e-12 <= high)).sum())
    return covered / datasets


def compute_share_coverage(share: float, runs: int) -> float:
    """Return the probability that the exact interval of the share of escaped runs contains the true share."""
    intervals = [escaped_share([run < escaped for run in range(runs)]) for escaped in range(runs + 1)]
    covers = [interval.low <= share <= interval.high for interval in intervals]
    return float(np.sum(stats.binom.pmf(np.arange(runs + 1), runs, share), where=covers))


def tabulate_coverage(datasets: int, seeds: Sequence[int] = SEEDS) -> list[list[str]]:
    """Return a row for each kind of interval: its name, and its coverage in per cent for each number of seeds."""
    rows = [
        [f"mean, {name}", *(f"{100 * simulate_coverage(draw, mean, count, datasets):.0f}" for count in seeds)]
        for name in each("distribution", DISTRIBUTIONS)
        for draw, mean in [DISTRIBUTIONS[name]]
    ]
    for name, share in (("1 in 4", 1 / 4), ("1 in 8", 1 / 8)):
        rows.append([f"exact share, {name}", *(f"{100 * compute_share_coverage(share, count):.0f}" for count in seeds)])
    return rows


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument(
        "--datasets", type=int, default=DATASETS, help="simulated datasets of each distribution and number of seeds"
    )
    options = parser.parse_args()
    title = f"Per cent of {100 * LEVEL:.0f} % intervals that contain the true value, by number of seeds"
    print_table(title, ["interval of", *map(str, SEEDS)], tabulate_coverage(options.datasets))


if __name__ == "__main__":
    main()
