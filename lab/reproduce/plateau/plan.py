"""The plan of a study of a plateau: its sweeps, the choice of the rate, and the names of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lab.reproduce import Stage, fixed_stage
from lab.reproduce.plateau.configuration import Plateau
from lab.runs import Run, frame
from lab.stats.configurations import seed_table, tuning_values
from lab.sweeping import Sweep
from lab.sweeping.spec.files import from_mapping

RATE = "optimiser.peak_lr"


def stages(plateau: Plateau, scale: str) -> list[Stage]:
    """Return the stage that chooses a rate, if there is a choice, and the one that the figures show."""
    if not plateau.rates:
        return [fixed_stage(_main_sweep(plateau, scale, {}))]

    def plan_main(rate: float) -> Sweep:
        return _main_sweep(plateau, scale, {"evaluation.split": "test", RATE: rate})

    main = Stage(plan_main(plateau.rates[0]), lambda tuned: plan_main(best_rate(plateau, tuned)))
    return [fixed_stage(_tuning_sweep(plateau, scale), tunes=True), main]


def _tuning_sweep(plateau: Plateau, scale: str) -> Sweep:
    """Return the sweep of the first condition with every rate, on separate seeds."""
    first, *_ = plateau.conditions.values()
    return from_mapping(
        {
            "name": f"{plateau.name}-{scale}-rates",
            "base": {"task": plateau.name, **plateau.scales[scale], **first},
            "grid": {RATE: list(plateau.rates)},
            "seeds": list(plateau.tuning_seeds),
            "metrics": {plateau.metric: "maximise"},
        }
    )


def _main_sweep(plateau: Plateau, scale: str, chosen: Mapping[str, Any]) -> Sweep:
    """Return the sweep of all conditions with the chosen settings."""
    return from_mapping(
        {
            "name": f"{plateau.name}-{scale}",
            "base": {"task": plateau.name, **plateau.scales[scale], **chosen},
            "grid": {"condition": {folder_name(name): dict(each) for name, each in plateau.conditions.items()}},
            "seeds": list(plateau.seeds),
            "metrics": {plateau.metric: "maximise"},
        }
    )


def best_rate(plateau: Plateau, tuned: Sequence[Run]) -> float:
    """Return the rate with the best accuracy of the first condition at the end, in the mean over the tuning seeds.

    A rate at which a run diverged is not the best.
    """
    means = rate_table(rate_values(plateau, tuned)).sort_values("mean", ascending=False, kind="stable")
    return float(means[RATE].iloc[0])


def rate_values(plateau: Plateau, tuned: Sequence[Run]) -> pd.DataFrame:
    """Return the accuracy of each tuning run at the end: the rate, `seed`, `value`."""
    return tuning_values(frame(tuned), plateau.metric)[[RATE, "seed", "value"]]


def rate_table(values: pd.DataFrame) -> pd.DataFrame:
    """Summarise `rate_values` over the tuning seeds: the rate, `mean`, `each seed`."""
    return seed_table(values, [RATE])


def folder_name(condition: str) -> str:
    """Return a condition's name in the names of its run folders."""
    return condition.replace(" = ", "").replace(",", "").replace(" ", "-")


def condition_of(plateau: Plateau, run_name: str) -> str:
    """Return the condition of a run."""
    return {folder_name(name): name for name in plateau.conditions}[run_name.rpartition("-seed")[0]]
