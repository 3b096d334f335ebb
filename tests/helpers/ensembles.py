"""Small ensembles, and a comparison of their runs with runs that were trained separately."""

from pathlib import Path

import pytest

import lab
from lab.config import Experiment

SEEDS = (0, 1, 5)


def ensemble(experiment: Experiment, folder: Path) -> dict[Path, Experiment]:
    """Return the members of an ensemble over `SEEDS`, by the folder of each run."""
    return {folder / f"seed{seed}": lab.override(experiment, {"seed": seed}) for seed in SEEDS}


def heads_and_seeds(experiment: Experiment, folder: Path) -> dict[Path, Experiment]:
    """Return members of several n_future, by the folder of each run; out of order, so that no member fits by its position."""
    members = [(1, 0), (3, 4), (2, 0), (3, 0)]
    return {folder / f"n{n}-{seed}": lab.override(experiment, {"n_future": n, "seed": seed}) for n, seed in members}


def values(run: lab.Run) -> dict[tuple[int, str], float]:
    """Return a run's metrics by step and name."""
    return {(row.step, row.metric): row.value for row in run.metrics()}


def assert_close(one: lab.Run, other: lab.Run) -> None:
    """Assert that the metrics of two runs are equal up to rounding."""
    mine, theirs = values(one), values(other)
    assert mine.keys() == theirs.keys()
    for key, value in mine.items():
        assert value == pytest.approx(theirs[key], rel=2e-3, abs=2e-3), (one.path, key)
