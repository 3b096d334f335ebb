"""The plan of Fig 7: sizes, rates, and the sweep of each stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from lab.config import SIZES
from lab.config.presets import PAPER
from lab.reproduce import Stage, fixed_stage
from lab.runs import Run, frame
from lab.stats.configurations import tuning_values
from lab.sweeping import Sweep
from lab.sweeping.spec.files import from_mapping

METRIC = "accuracy/second_again/1"
ARMS = (1, 2)
RATE = "optimiser.peak_lr"


@dataclass(frozen=True)
class Scale:
    """The settings of one scale of the study.

    Attributes:
        base: Settings that all runs share.
        sizes: Settings by the name of a size, from the smallest up.
        seeds: Of the runs that the figure shows.
        rates: Peak learning rates to choose from; one: nothing is tuned.
        tuning_seeds: Of the runs that choose.
        expectation: Written before the first run, for the page; empty if there was none.
    """

    base: Mapping[str, Any]
    sizes: Mapping[str, Mapping[str, Any]]
    seeds: Sequence[int]
    rates: Sequence[float]
    tuning_seeds: Sequence[int] = ()
    expectation: str = ""


_LAPTOP = Scale(
    base={
        "task": "stories",
        "steps": 500,
        "batch_size": 16,
        "examples": 1600,
        "evaluation.every": 100,
        "evaluation.examples": 256,
        "evaluation.measures.induction": 0,
    },
    sizes={f"d{width}": {"model.width": width} for width in (32, 48, 64, 96)},
    seeds=range(200, 208),
    rates=(2e-3, 4e-3, 8e-3, 1.6e-2),
    tuning_seeds=(300, 301),
)
_PAPER_MICROBATCHES = {"1M": 4, "3M": 4, "10M": 8, "30M": 16, "100M": 32, "300M": 64, "1B": 128}
"""Microbatches of a step of 2^18 tokens, such that each fits the memory of one GPU."""

SCALES: dict[str, Scale] = {
    "laptop": _LAPTOP,
    "bracketed": replace(
        _LAPTOP,
        seeds=range(210, 218),
        rates=(4e-3, 8e-3, 1.6e-2, 3.2e-2, 6.4e-2, 1.28e-1),
        tuning_seeds=(310, 311),
        expectation="""\
The best rate is inside the range, 8e-3 to 6.4e-2, at every size for both n; that of n = 2 is never the smaller one.
With each n at its own best rate, n = 2 is ahead by 0.05 or more at d48 and d64, and over all sizes together; at d32 it is not \
ahead; at d96 no prediction is made. The differences at d48 and d64 are smaller than in results/fig7 (+0.26 and +0.16), where \
the best rate of n = 1 was not bracketed.""",
    ),
    "paper": Scale(
        base={"task": "stories", **PAPER["stories"], "precision": "bfloat16", "compile": "default"},
        sizes={name: {"model.size": name, "accumulate": _PAPER_MICROBATCHES[name]} for name in SIZES},
        seeds=range(2),
        rates=(PAPER["stories"][RATE],),
    ),
}
"""`laptop`: an epoch of 1600 stories has 100 steps, and ends with an evaluation. `bracketed`: the same with larger rates and
other seeds. `paper`: tables S13 and S14 and two seeds."""


def stages(scale: str) -> list[Stage]:
    """Return the stage that chooses rates, unless there is nothing to choose, and the one that the figure shows."""
    chosen = SCALES[scale]
    # Each n chooses one rate for a size, so that a size has at most as many rates as there are n.
    largest = _main_sweep(scale, dict.fromkeys(chosen.sizes, chosen.rates[: len(ARMS)]))
    if len(chosen.rates) == 1:
        return [fixed_stage(largest)]

    def plan_main(tuned: Sequence[Run]) -> Sweep:
        rates = best_rates(scale, tuning_table(tuned))
        return _main_sweep(scale, {name: sorted({rates[n][name] for n in ARMS}) for name in chosen.sizes})

    return [fixed_stage(_tuning_sweep(scale), tunes=True), Stage(largest, plan_main)]


def _tuning_sweep(scale: str) -> Sweep:
    """Return the sweep of every size, n and rate on validation, on seeds of its own."""
    chosen = SCALES[scale]
    sizes = {name: dict(size) for name, size in chosen.sizes.items()}
    return from_mapping(
        {
            "name": f"fig7-{scale}-rates",
            "base": dict(chosen.base),
            "grid": {"size": sizes, "n_future": list(ARMS), RATE: list(chosen.rates)},
            "seeds": list(chosen.tuning_seeds),
            "metrics": {METRIC: "maximise"},
            "rule": "best",
        }
    )


def _main_sweep(scale: str, rates: Mapping[str, Sequence[float]]) -> Sweep:
    """Return the sweep of every size and n on the test split, with the rates of each size."""
    chosen = SCALES[scale]
    configurations = {
        f"{name}-n{n}-lr{rate:g}": {**size, "n_future": n, RATE: rate}
        for name, size in chosen.sizes.items()
        for rate in rates[name]
        for n in ARMS
    }
    return from_mapping(
        {
            "name": f"fig7-{scale}",
            "base": {**chosen.base, "evaluation.split": "test"},
            "grid": {"configuration": configurations},
            "seeds": list(chosen.seeds),
            "metrics": {METRIC: "maximise"},
            "rule": "best",
        }
    )


def best_rates(scale: str, means: pd.DataFrame) -> dict[int, dict[str, float]]:
    """Return the rate with the best mean, by n and size; one at which a run diverged is not the best.

    Args:
        scale: Of `SCALES`.
        means: From `tuning_table`.
    """
    chosen = SCALES[scale]
    best = means.sort_values("mean", ascending=False, kind="stable").groupby(["n_future", "size"], observed=True)[RATE].first()
    return {n: {name: float(best[n, name]) for name in chosen.sizes} for n in ARMS}


def tuning_table(tuned: Sequence[Run]) -> pd.DataFrame:
    """Return the accuracy on validation at the best epoch, by size, n and rate.

    Returns:
        One row for each size, n and rate: `size`, `n_future`, the rate, `mean` (not a number if a run diverged), and of
        finished runs `lowest`, `highest`, `seeds`.
    """
    values = tuning_values(sized(tuned), METRIC, "best").groupby(["size", "n_future", RATE], observed=True)["value"]
    table = values.agg(lowest="min", highest="max", seeds="count")
    table.insert(0, "mean", values.apply(lambda each: each.mean(skipna=False)))
    return table.reset_index()


def sized(runs: Sequence[Run]) -> pd.DataFrame:
    """Return the frame of runs with an ordered column `size`, which a run's name begins with."""
    table = frame(runs)
    names = table["run"].str.partition("-")[0]
    order = list(dict.fromkeys(run.name.partition("-")[0] for run in sorted(runs, key=_parameters)))
    return table.assign(size=pd.Categorical(names, categories=order, ordered=True))


def _parameters(run: Run) -> int:
    return int(run.record["non_embedding_parameters"])
