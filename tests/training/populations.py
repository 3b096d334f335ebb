"""Small populations, how their runs compare, and children that are killed while they train."""

import multiprocessing as mp
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

import lab
from lab.config import Experiment

SEEDS = (0, 1, 5)


def population(experiment: Experiment, folder: Path) -> dict[Path, Experiment]:
    return {folder / f"seed{seed}": lab.override(experiment, {"seed": seed}) for seed in SEEDS}


def heads_and_seeds(experiment: Experiment, folder: Path) -> dict[Path, Experiment]:
    """The narrowest first, and not in order, so that places cannot be right by chance."""
    members = [(1, 0), (3, 4), (2, 0), (3, 0)]
    return {folder / f"n{n}-{seed}": lab.override(experiment, {"n_future": n, "seed": seed}) for n, seed in members}


def values(run: lab.Run) -> dict[tuple[int, str], float]:
    return {(row.step, row.metric): row.value for row in run.metrics()}


def close(one: lab.Run, other: lab.Run) -> None:
    mine, theirs = values(one), values(other)
    assert mine.keys() == theirs.keys()
    for place, value in mine.items():
        assert value == pytest.approx(theirs[place], rel=2e-3, abs=2e-3), (one.path, place)


def killed(work: Callable[[], object]) -> None:
    """Do work in a child that kills itself."""
    process = mp.get_context("fork").Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
