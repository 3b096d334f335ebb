"""One instrument on several runs and kept steps, as one tidy frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pandas as pd
import torch

from lab.errors import LabError
from lab.evaluation.state import evaluation_mode
from lab.inspection.instruments import find_instrument, options_of
from lab.runs import Run, open_runs
from lab.runs.isolation import isolated
from lab.runs.run import describe
from tasks.errors import nearest

Runs = Sequence[Run | Path | str] | Run | Path | str


def inspect(name: str, runs: Runs, *, step: int | Literal["last", "all"] = "last", **options: str | float) -> pd.DataFrame:
    """Apply an instrument to the networks of runs.

    Args:
        name: Of the instrument, a key of `lab.inspection.instruments.INSTRUMENTS`.
        runs: Runs, or folders of runs.
        step: Of which kept weights: the last, all, or those after a number of optimiser steps.
        options: Of the instrument's measure, such as `sequences=512` or `split="test"`.

    Returns:
        A row for each value: the columns that describe a run (`run`, `task`, `n_future`, `seed`, every other setting in which
        the runs differ, `parameters`, `state`), `step`, `tokens` (seen in training), the instrument's coordinates, and
        `value`. `attrs["instrument"]` is the name.

    Raises:
        LabError: For an unknown instrument or option, runs without such weights, or a task or network that does not fit the
            instrument.
    """
    instrument = find_instrument(name)
    measure = instrument.load_measure()
    for option in options:
        if option not in options_of(measure):
            raise LabError(f"{name} has no option {option!r}; {nearest(option, options_of(measure))}")
    opened = _opened(runs)
    parts = []
    for run, (_, columns) in zip(opened, describe(opened).iterrows(), strict=True):
        tokens = {row[0]: row[1] for row in run.metrics()}
        for each in _steps(run, step):
            network = run.model(each)
            with isolated(run.experiment), torch.no_grad(), evaluation_mode(network):
                part = measure(network, run.experiment.task, **options)
            before = {**columns, "step": each, "tokens": tokens.get(each)}
            parts.append(part.assign(**before)[[*before, *instrument.coordinates, "value"]])
    frame = pd.concat(parts, ignore_index=True)
    frame.attrs["instrument"] = name
    return frame


def read_frame(name: str, path: Path | str) -> pd.DataFrame:
    """Read a frame of an instrument that `lab inspect` wrote.

    Raises:
        LabError: If the file cannot be read, or is no frame of the instrument.
    """
    wanted = ["run", "task", "n_future", "seed", "step", *find_instrument(name).coordinates, "value"]
    try:
        frame = pd.read_csv(path, keep_default_na=False, na_values={"value": ["", "nan"], "tokens": ["", "nan"]})
    except (OSError, ValueError) as error:
        raise LabError(f"{path}: cannot be read: {error}") from error
    missing = [column for column in wanted if column not in frame.columns]
    if missing or frame.empty:
        raise LabError(f"{path}: is no frame of {name}: it has no {', '.join(missing) or 'rows'}")
    return frame


def _opened(runs: Runs) -> list[Run]:
    each = [runs] if isinstance(runs, (Run, Path, str)) else list(runs)
    found = [run for path in each for run in ([path] if isinstance(path, Run) else open_runs(path))]
    return list({run.path.resolve(): run for run in found}.values())


def _steps(run: Run, step: int | Literal["last", "all"]) -> list[int]:
    """Return the steps at which a run is inspected.

    Raises:
        LabError: If it has no weights, or none of this step.
    """
    kept = run.steps()
    if not kept:
        raise LabError(f"{run.path}: has no weights yet")
    if step == "all":
        return kept
    if step == "last":
        return kept[-1:]
    if step not in kept:
        raise LabError(f"step must be last, all, or one of {kept}, whose weights {run.path} has, not {step!r}")
    return [step]
